"""Backups while the service runs, and putting one back while it does not."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from app.errors import GalleryCorruptError, StartError
from app.gallery.files import sync_directory
from app.gallery.lock import DirectoryLock
from app.gallery.store import GalleryStore
from app.gallery.unlock import wrapped_by
from app.security.keysource import KeySource


def backup(store: GalleryStore, target: Path) -> int:
    """Copies one consistent state into a new file; its bytes.

    Writers go on meanwhile; purging of what is erased meanwhile waits until the copy is done.
    Raises StartError where the file exists.
    """
    if target.exists():
        raise StartError(f"{target} exists already")
    unfinished = target.with_name(target.name + ".part")
    with closing(sqlite3.connect(unfinished)) as copy, store.read() as connection:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    unfinished.replace(target)
    sync_directory(target.parent)
    return target.stat().st_size


def restore(source: Path, directory: Path, keys: KeySource) -> None:
    """Puts a backup in the place of a stopped service's database.

    Whoever has been erased since the backup is erased again at the next start: the erasures' log
    stays. Raises StartError where the directory is in use, GalleryCorruptError where the backup is
    damaged, and StartError where none of the keys opens it; nothing has been changed then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = DirectoryLock(directory / "lock")
    try:
        incoming = directory / "gallery.db.restoring"
        shutil.copyfile(source, incoming)
        _begin_anew(incoming, keys)
        for name in ("gallery.db-wal", "gallery.db-shm"):
            (directory / name).unlink(missing_ok=True)
        shutil.rmtree(directory / "index", ignore_errors=True)
        incoming.replace(directory / "gallery.db")
        sync_directory(directory)
    finally:
        (directory / "gallery.db.restoring").unlink(missing_ok=True)
        lock.release()


def _begin_anew(database: Path, keys: KeySource) -> None:
    """Checks every page, and gives the database a new epoch, so that no snapshot fits it."""
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise GalleryCorruptError(f"the backup is damaged ({found})")
            wrapper = wrapped_by(connection)
            if wrapper is not None:
                keys.keys(wrapper)
            connection.execute("DELETE FROM meta WHERE name = 'epoch'")
    except sqlite3.DatabaseError as error:
        raise GalleryCorruptError(f"the backup is damaged ({error})") from error
