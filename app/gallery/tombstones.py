"""What has been erased stays erased, even after an old backup comes back.

Every erasure leaves a tombstone in the database, in the same transaction, and a copy of it in a
file beside the database before the receipt is given. A restored database lacks the last ones; the
file does not, and at start its surplus is applied. A tombstone holds a random id, nothing about
anyone; a subject that is enrolled again has a new id and is not touched.
"""

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["gallery", "subject", "face"]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """`seq` numbers them without gaps across the life of a data directory."""

    seq: int
    kind: Kind
    uid: str
    erased_at: int


class TombstoneLog:
    """An append-only file of one JSON array per line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries = self._read()

    @property
    def last(self) -> int:
        return self.entries[-1].seq if self.entries else 0

    def append(self, fresh: list[Tombstone]) -> None:
        """Durable on return."""
        if not fresh:
            return
        lines = "".join(json.dumps([t.seq, t.kind, t.uid, t.erased_at]) + "\n" for t in fresh)
        with self._path.open("ab") as file:
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())
        self.entries.extend(fresh)

    def _read(self) -> list[Tombstone]:
        """A crash may have cut the last line short; it is dropped, the database has it still."""
        if not self._path.exists():
            self._path.touch()
            return []
        entries: list[Tombstone] = []
        sound = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            try:
                entries.append(Tombstone(*json.loads(line)))
            except (ValueError, TypeError):
                break
            if not line.endswith(b"\n"):
                entries.pop()
                break
            sound += len(line)
        with self._path.open("rb+") as file:
            file.truncate(sound)
        return entries


def bury(connection: sqlite3.Connection, kind: Kind, uid: str, erased_at: int) -> int:
    """Adds a tombstone to the database; its number."""
    cursor = connection.execute(
        "INSERT INTO tombstones (kind, uid, erased_at) VALUES (?, ?, ?)", (kind, uid, erased_at)
    )
    return int(cursor.lastrowid or 0)


def after(connection: sqlite3.Connection, seq: int) -> list[Tombstone]:
    """The database's tombstones with a higher number."""
    rows = connection.execute(
        "SELECT seq, kind, uid, erased_at FROM tombstones WHERE seq > ? ORDER BY seq", (seq,)
    )
    return [Tombstone(*row) for row in rows]


def last(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT coalesce(max(seq), 0) FROM tombstones").fetchone()
    return int(row[0])


def adopt(connection: sqlite3.Connection, tombstone: Tombstone) -> None:
    """Copies a tombstone of the file into a restored database."""
    connection.execute(
        "INSERT INTO tombstones (seq, kind, uid, erased_at) VALUES (?, ?, ?, ?)",
        (tombstone.seq, tombstone.kind, tombstone.uid, tombstone.erased_at),
    )
