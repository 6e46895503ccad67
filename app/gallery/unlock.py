"""From a database and a key source to a connection that can read what is sealed.

`meta` holds the id of the master key that wraps the galleries' keys; a database without one is not
encrypted, and becomes so here where there is a key. A key other than the current one is replaced:
the data keys are wrapped anew, the data stay as they are.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.errors import StartError
from app.gallery import encrypt
from app.gallery.checkpoints import Checkpoints
from app.gallery.database import Connection, open_writer
from app.gallery.failpoints import Failpoints
from app.gallery.lock import DirectoryLock
from app.gallery.schema import MIGRATIONS, migrate
from app.gallery.sealing import Seals
from app.security.keysource import KeySource
from app.security.masterkey import MasterKeys


def unlocked(
    path: Path, source: KeySource, failpoints: Failpoints
) -> tuple[Connection, Checkpoints]:
    """The writing connection, its schema up to date, and its checkpoints.

    Raises StartError where the key is missing or another's.
    """
    encrypt.clean_up(path)
    connection, checkpoints = opened(path)
    wrapper = wrapped_by(connection)
    keys = source.keys(wrapper)
    if keys is None:
        return connection, checkpoints
    if wrapper is None and _holds_galleries(connection):
        checkpoints.run()
        connection.close()
        encrypt.encrypt(path, Seals(keys), failpoints)
        connection, checkpoints = opened(path)
    connection.seals = Seals(keys)
    rewrap(connection, keys)
    return connection, checkpoints


def opened(path: Path) -> tuple[Connection, Checkpoints]:
    """The database as it is, its schema up to date. What the last process left in the
    write-ahead log is scrubbed first: closing, whyever, would bring it in as it is."""
    connection = open_writer(path)
    checkpoints = Checkpoints(connection, path)
    migrate(connection, MIGRATIONS)
    return connection, checkpoints


@contextmanager
def reading(directory: Path, source: KeySource) -> Iterator[Connection]:
    """A connection to look at the galleries with, whether or not a service has them open.

    Raises StartError.
    """
    path = directory / "gallery.db"
    if not path.exists():
        raise StartError(f"there are no galleries in {directory}")
    with closing(_reading(directory)) as connection:
        connection.seals = Seals(source.keys(wrapped_by(connection)))
        connection.execute("PRAGMA query_only=ON")
        yield connection


def _reading(directory: Path) -> Connection:
    path = directory / "gallery.db"
    try:
        lock = DirectoryLock(directory / "lock")
    except StartError:  # the service has it, and so is the last to close it
        return open_writer(path)
    try:
        return opened(path)[0]
    finally:
        lock.release()


def wrapped_by(connection: sqlite3.Connection) -> str | None:
    """Id of the master key that the database needs; None where it is not encrypted."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'master_key'").fetchone()
    return None if row is None else str(row[0])


def rewrap(connection: Connection, keys: MasterKeys) -> int:
    """Wraps every data key by the current master key, in one transaction; how many were not."""
    if wrapped_by(connection) == keys.current:
        return 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        rows = connection.execute(
            "SELECT owner, uid, coalesce(bound_to, contract_id), data_key, id FROM galleries"
            " WHERE data_key IS NOT NULL"
        ).fetchall()
        for *row, id_ in rows:
            connection.execute(
                "UPDATE galleries SET data_key = ? WHERE owner = ? AND id = ?",
                (connection.seals.rewrapped(*row), row[0], id_),
            )
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('master_key', ?)", (keys.current,))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return len(rows)


def _holds_galleries(connection: Connection) -> bool:
    return connection.execute("SELECT 1 FROM galleries LIMIT 1").fetchone() is not None
