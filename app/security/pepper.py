"""The secret that key digests are made with: a file of its own, for its owner's eyes alone."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from app.errors import StartError

SIZE = 32


def read(path: Path) -> bytes:
    """The pepper. Raises StartError where it is missing, damaged, or open to other users."""
    check_private(path)
    found = path.read_bytes()
    if len(found) != SIZE:
        raise StartError(f"{path} is damaged: restore it, or every key has to be made anew")
    return found


def create(path: Path) -> bytes:
    """The pepper of this directory, made now unless another process was faster."""
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(SIZE))
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(made, path)  # whole or not at all, and never over another
    made.unlink()
    return read(path)


def check_private(path: Path) -> None:
    """Raises StartError unless the file is there and no other user can read or write it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise StartError(f"{path} is open to other users: chmod 600 {path}")
