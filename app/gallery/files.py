"""Writing files so that a crash leaves the old one or the new one, never a half."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_durably(path: Path, write: Callable[[IO[bytes]], None], mode: int | None = None) -> None:
    """Temporary file, fsync, rename, fsync of the directory. `mode` are its permissions."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        write(file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shred(path: Path) -> None:
    """Overwrites a file and removes it: what a disk that writes in place then still holds is
    nothing. Flash and copy-on-write file systems may keep the old blocks."""
    with path.open("rb+") as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(bytes(min(left, 1 << 20)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync_directory(path.parent)
