"""Backups while the service runs, and putting one back while it does not."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from app.errors import GalleryCorruptError, StartError
from app.gallery.files import sync_directory, write_durably
from app.gallery.lock import DirectoryLock
from app.gallery.unlock import wrapped_by
from app.security.keysource import KeySource


@dataclass(frozen=True, slots=True)
class Backup:
    """What a verified backup holds."""

    galleries: int
    subjects: int
    faces: int
    size: int


def backup(database: Path, target: Path) -> Backup:
    """Copies one consistent state into a new file, and verifies the copy.

    Another process may have the database open and write meanwhile; purging of what is erased
    meanwhile waits until the copy is done. Uploads of jobs are not part of a backup, nor are their
    keys. Raises StartError where there is nothing to copy or the target exists,
    GalleryCorruptError where the copy is not sound.
    """
    if not database.is_file():
        raise StartError(f"{database}: there is no gallery yet")
    if target.exists():
        raise StartError(f"{target} exists already")
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    try:
        _copy(database, unfinished)
        with _opened(unfinished) as copy:
            _forget_spools(copy)
            found = _verified(copy, unfinished)
        _sync(unfinished)
        unfinished.rename(target)
        sync_directory(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return found


def _copy(database: Path, target: Path) -> None:
    target.touch(0o600)
    with closing(sqlite3.connect(target)) as copy, closing(sqlite3.connect(database)) as source:
        source.execute("PRAGMA query_only=ON")
        # All pages at once: one read transaction, whatever is written meanwhile.
        source.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode=DELETE")


def _forget_spools(copy: sqlite3.Connection) -> None:
    tables = copy.execute("SELECT name FROM sqlite_master WHERE name = 'jobs'").fetchall()
    if tables:  # a database of an earlier release has none
        copy.execute("PRAGMA secure_delete=ON")
        copy.execute("UPDATE jobs SET secret = NULL")  # every owner's


def _verified(copy: sqlite3.Connection, path: Path) -> Backup:
    """Every page is sound, and as many rows are there as are counted."""
    _check_pages(copy)
    wrong = copy.execute(
        "SELECT count(*) FROM galleries g WHERE"
        " g.faces <> (SELECT count(*) FROM faces f"
        "  WHERE f.gallery_id = g.id AND f.owner = g.owner)"
        " OR g.subjects <> (SELECT count(*) FROM subjects s"
        "  WHERE s.gallery_id = g.id AND s.owner = g.owner)"
    ).fetchone()[0]
    if wrong:
        raise GalleryCorruptError(f"{wrong} galleries in the backup hold other than they count")
    galleries, subjects, faces = copy.execute(
        "SELECT count(*), coalesce(sum(subjects), 0), coalesce(sum(faces), 0) FROM galleries"
    ).fetchone()
    return Backup(galleries, subjects, faces, path.stat().st_size)


def restore(source: Path, directory: Path, keys: KeySource, erasures: Path | None = None) -> None:
    """Puts a backup in the place of a stopped service's database.

    Whoever has been erased since the backup is erased again at the next start, as far as the
    erasures' log of `directory` knows, or that of `erasures` where the backup comes from elsewhere.
    Raises StartError where the directory is in use, none of the keys opens the backup, or the two
    logs are of different lives; GalleryCorruptError where the backup is damaged; nothing has been
    changed then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = DirectoryLock(directory / "lock")
    try:
        known = _longer(directory / "erasures.log", erasures)
        incoming = directory / "gallery.db.restoring"
        shutil.copyfile(source, incoming)
        _begin_anew(incoming, keys)
        _sync(incoming)
        write_durably(directory / "erasures.log", partial(_write, known))
        for name in ("gallery.db-wal", "gallery.db-shm"):
            (directory / name).unlink(missing_ok=True)
        for name in ("index", "spool"):
            shutil.rmtree(directory / name, ignore_errors=True)
        incoming.replace(directory / "gallery.db")
        sync_directory(directory)
    finally:
        (directory / "gallery.db.restoring").unlink(missing_ok=True)
        lock.release()


def _write(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


def _longer(here: Path, elsewhere: Path | None) -> bytes:
    """The longer of two logs, of which one must begin with the other."""
    own = here.read_bytes() if here.exists() else b""
    other = b"" if elsewhere is None else elsewhere.read_bytes()
    short, long = sorted((own, other), key=len)
    if not long.startswith(short):
        raise StartError(f"{elsewhere}: these erasures are not of the galleries in {here.parent}")
    return long


def _begin_anew(database: Path, keys: KeySource) -> None:
    """Checks every page, and gives the database a new epoch, so that no snapshot fits it."""
    with _opened(database) as connection:
        _check_pages(connection)
        wrapper = wrapped_by(connection)
        if wrapper is not None:
            keys.keys(wrapper)
        connection.execute("DELETE FROM meta WHERE name = 'epoch'")


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Raises GalleryCorruptError where it is not a database."""
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise GalleryCorruptError(f"the backup is damaged ({error})") from error


def _check_pages(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise GalleryCorruptError(f"the backup is damaged ({found})")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
