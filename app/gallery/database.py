"""Opening SQLite the way the gallery's promises need it, and sharing read connections."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue

from app.errors import (
    GalleryCorruptError,
    StartError,
    StorageFailedError,
    StorageFullError,
    StoreError,
)
from app.gallery.sealing import Seals

MINIMUM_SQLITE = (3, 37, 0)
"""STRICT tables; older ones would take text where a number is due."""


class Connection(sqlite3.Connection):
    """A connection, and what opens that which it reads sealed."""

    seals: Seals


def open_writer(path: Path) -> Connection:
    """The one connection that writes.

    WAL so that readers never wait; FULL so that a commit survives power loss (NORMAL may lose
    the last ones); secure_delete so that what is erased is overwritten, not just unlinked.
    Raises StartError where SQLite does not do as told.
    """
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        raise StartError(f"SQLite {sqlite3.sqlite_version} is too old, 3.37 or later is needed")
    connection = _connect(path, Seals(None))
    connection.execute("PRAGMA page_size=8192")
    expected = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
    for pragma, value in expected.items():
        connection.execute(f"PRAGMA {pragma}={value}")
        found = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
        if found != value:
            raise StartError(f"SQLite answers {pragma}={found!r} instead of {value!r} for {path}")
    return connection


def _connect(path: Path, seals: Seals) -> Connection:
    connection = sqlite3.connect(
        path,
        timeout=10,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        factory=Connection,
    )
    connection.seals = seals
    connection.execute("PRAGMA cache_size=-65536")
    connection.execute("PRAGMA temp_store=MEMORY")  # no copies of rows in files of their own
    return connection


@contextmanager
def one_state(connection: Connection) -> Iterator[None]:
    """What is read inside is of one state of the database, whatever is committed meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


class ReaderPool:
    """Read-only connections, as many as are used at once; each sees all that is committed."""

    def __init__(self, path: Path, seals: Seals) -> None:
        self._path = path
        self._seals = seals
        self._idle: LifoQueue[Connection] = LifoQueue()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for one thread. Raises StoreError where the file cannot be read."""
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = _connect(self._path, self._seals)
            connection.execute("PRAGMA query_only=ON")
        try:
            yield connection
        except sqlite3.Error as error:
            raise store_error(error) from error
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait().close()


def store_error(error: sqlite3.Error | OSError) -> StoreError:
    """What a failure of SQLite or of the file system means for the caller."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) == 28:  # ENOSPC
        return StorageFullError("no space left for the gallery; nothing was stored")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return GalleryCorruptError(
            "the gallery database is damaged: stop the service and restore a backup "
            "(norma gallery restore)"
        )
    # An OSError's own text names the file.
    why = error.strerror if isinstance(error, OSError) else error
    return StorageFailedError(f"the gallery's storage failed ({why}); it is read-only now")
