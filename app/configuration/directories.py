"""Whether what the service keeps can be kept where the settings say."""

import os
from pathlib import Path

from app.errors import StartError
from app.settings import Settings


def check_directories(settings: Settings) -> None:
    """Raises StartError where galleries or the audit log could not be written; makes nothing."""
    for wanted in (settings.gallery_dir, settings.audit_dir):
        there = _nearest(wanted)
        if not there.is_dir():
            raise _refused(settings, f"{there} is not a directory")
        if not os.access(there, os.W_OK | os.X_OK):
            raise _refused(settings, f"{there} cannot be written by this user")


def _nearest(path: Path) -> Path:
    """The path, or what is there of the way to it."""
    return next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))


def _refused(settings: Settings, why: str) -> StartError:
    return StartError(f"NORMA_DATA_DIR={settings.data_dir}: {why}")
