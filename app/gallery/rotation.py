"""A new master key for a stopped service's galleries: the data keys are wrapped anew, nothing else.

The key file has both keys from before the first row changes until after the last, so a crash at
any point leaves everything readable; the next start wraps what is left.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.errors import GalleryCorruptError, StartError
from app.gallery.database import Connection
from app.gallery.lock import DirectoryLock
from app.gallery.sealing import Seals
from app.gallery.unlock import opened, rewrap, wrapped_by
from app.security.keysource import KeyFile
from app.security.masterkey import MasterKeys


def rotate(directory: Path, file: KeyFile) -> tuple[str, int]:
    """The new key's id, and how many galleries it wraps. The old one is retired in the file.

    Raises StartError where the service runs.
    """
    lock = DirectoryLock(directory / "lock")
    try:
        keys = file.keys(_wrapper(directory)).rotated()
        file.write(keys)
        return keys.current, _rewrapped(directory, keys)
    finally:
        lock.release()


def forget(directory: Path, file: KeyFile) -> str:
    """Leaves the current key alone in the file: older backups can no longer be read. Its id.

    Raises StartError where the service runs, or the database still needs a retired key.
    """
    lock = DirectoryLock(directory / "lock")
    try:
        wrapper = _wrapper(directory)
        keys = file.keys(wrapper)
        if wrapper not in (None, keys.current):
            raise StartError("the galleries need a retired key until the service has started once")
        file.write(keys.without_retired())
        return keys.current
    finally:
        lock.release()


def _wrapper(directory: Path) -> str | None:
    with _database(directory) as connection:
        return None if connection is None else wrapped_by(connection)


def _rewrapped(directory: Path, keys: MasterKeys) -> int:
    with _database(directory) as connection:
        if connection is None or wrapped_by(connection) is None:  # its next start encrypts it
            return 0
        connection.seals = Seals(keys)
        return rewrap(connection, keys)


@contextmanager
def _database(directory: Path) -> Iterator[Connection | None]:
    """Raises GalleryCorruptError where it cannot be read."""
    path = directory / "gallery.db"
    if not path.exists():
        yield None
        return
    try:
        connection, checkpoints = opened(path)
        with closing(connection):
            yield connection
            checkpoints.run()
    except sqlite3.DatabaseError as error:
        raise GalleryCorruptError(f"the gallery database cannot be read ({error})") from error
