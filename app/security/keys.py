"""The keys on disk: a small SQLite file that the command line and a running service share.

The file never holds a key, only what a key can be checked against. Rows stay when a key is revoked:
a data directory that ever had keys never runs without again.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import StartError
from app.security import pepper
from app.security.scopes import Scope
from app.security.token import Token

_TABLE = """
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    scopes TEXT NOT NULL,
    rate REAL,
    concurrency INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT
"""
_COLUMNS = "id, digest, name, owner, scopes, rate, concurrency, created_at, expires_at, revoked_at"


@dataclass(frozen=True, slots=True)
class KeySpec:
    """What the operator decides about a key. `rate` (a second) and `concurrency` None take the
    service's; `expires_at` is in seconds since the epoch, None for never."""

    name: str
    owner: str
    scopes: frozenset[Scope]
    expires_at: int | None = None
    rate: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key as stored. Times are seconds since the epoch."""

    id: str
    digest: bytes = field(repr=False)
    spec: KeySpec
    created_at: int
    revoked_at: int | None

    def refused_at(self, at: float) -> str | None:
        """Why it is no good at this time: "revoked", "expired", or None where it is good."""
        if self.revoked_at is not None:
            return "revoked"
        if self.spec.expires_at is not None and at >= self.spec.expires_at:
            return "expired"
        return None


class KeyStore:
    """The keys of one directory, which is made with the first key."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "keys.db"
        self.uses = directory / "uses.json"
        self._pepper = directory / "pepper"

    def exists(self) -> bool:
        """Whether there has ever been a key."""
        return self.path.exists()

    def pepper(self) -> bytes:
        """Raises StartError where it is missing: no key can be checked without."""
        return pepper.read(self._pepper)

    def create(self, spec: KeySpec, at: int) -> Token:
        """A new key; nobody can find out its secret later. Raises StartError as `pepper` does."""
        self._prepare()
        token = Token.mint()
        with self._writing() as connection:
            connection.execute(
                f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",  # noqa: S608
                (
                    token.key_id,
                    token.digest(self.pepper()),
                    spec.name,
                    spec.owner,
                    ",".join(sorted(spec.scopes)),
                    spec.rate,
                    spec.concurrency,
                    at,
                    spec.expires_at,
                ),
            )
        return token

    def revoke(self, key_id: str, at: int) -> Key | None:
        """The key, revoked now unless it was before; None where there is none."""
        return self._change("revoked_at = coalesce(revoked_at, ?1)", key_id, at)

    def expire(self, key_id: str, at: int) -> Key | None:
        """The key, ending at that time unless it ended before; None where there is none."""
        return self._change("expires_at = min(coalesce(expires_at, ?1), ?1)", key_id, at)

    def all(self) -> list[Key]:
        """Every key, those of old too, in the order of their making."""
        if not self.exists():
            return []
        with self.explained(), closing(self.connect()) as connection:
            return read_all(connection)

    def connect(self, patience: float = 5) -> sqlite3.Connection:
        """`patience` is how many seconds to wait for others' transactions. Raises StartError where
        other users can read the file.

        A rollback journal, not a write-ahead log: the file may be replaced by a backup, or lie on
        a read-only mount, under a running service. EXTRA, or a power cut could undo a revocation.
        """
        pepper.check_private(self.path)
        connection = sqlite3.connect(
            self.path, timeout=patience, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous=EXTRA")
        return connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, durable at the end."""
        with self.explained(), closing(self.connect()) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raises StartError for whatever SQLite finds wrong with the file."""
        try:
            yield
        except sqlite3.Error as error:
            raise StartError(f"{self.path} cannot be used: {error}") from error

    def _change(self, assignment: str, key_id: str, at: int) -> Key | None:
        if not self.exists():
            return None
        with self._writing() as connection:
            row = connection.execute(
                f"UPDATE keys SET {assignment} WHERE id = ?2 RETURNING {_COLUMNS}",  # noqa: S608
                (at, key_id),
            ).fetchone()
        return None if row is None else _key(row)

    def _prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.exists():
            return
        _hand_over(self.directory)
        pepper.create(self._pepper)
        _hand_over(self._pepper)
        made = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        made.touch(mode=0o600)
        with closing(sqlite3.connect(made, isolation_level=None)) as connection:
            connection.execute(_TABLE)
        _hand_over(made)
        with suppress(FileExistsError):
            os.link(made, self.path)  # with its table or not at all
        made.unlink()


def _hand_over(path: Path) -> None:
    """To the owner of the directory that it is in, where root makes it: the service is not root,
    and has to read it."""
    if os.geteuid() == 0:
        above = path.parent.stat()
        os.chown(path, above.st_uid, above.st_gid)


def read_all(connection: sqlite3.Connection) -> list[Key]:
    """Every key, over a connection that stays open."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY rowid")  # noqa: S608
    return [_key(row) for row in rows]


def _key(row: tuple[Any, ...]) -> Key:
    key_id, digest, name, owner, held, rate, concurrency, created, expires, revoked = row
    known = {scope.value for scope in Scope}  # a newer release may have given others
    allowed = frozenset(Scope(name) for name in held.split(",") if name in known)
    spec = KeySpec(name, owner, allowed, expires, rate, concurrency)
    return Key(key_id, digest, spec, created, revoked)
