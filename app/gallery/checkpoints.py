"""Checkpoints of the write-ahead log, after which nothing erased is left in the database file."""

import sqlite3
from pathlib import Path

from app.gallery.scrub import all_pages, pages_in_wal, scrub


class Checkpoints:
    """The only checkpoints of the database: each scrubs the pages that it brings in.

    SQLite's automatic ones are off, so that no page reaches the database unscrubbed.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Checkpoints at once; scrubs the whole file where the last process did not get to."""
        self._connection = connection
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._page_size: int = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute("PRAGMA wal_autocheckpoint=0")
        self._pending: set[int] = set()
        unclean = self._wal.exists() and self._wal.stat().st_size > 0
        self.run()
        if unclean:
            scrub(path, all_pages(path, self._page_size), self._page_size)

    @property
    def wal_bytes(self) -> int:
        return self._wal.stat().st_size if self._wal.exists() else 0

    def run(self) -> bool:
        """Empties the write-ahead log into the database and overwrites what is left of erased
        rows. False where a long read (a backup) kept it from finishing.

        For the writer's thread, outside of a transaction.
        """
        self._pending |= pages_in_wal(self._wal, self._page_size)
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            return False
        scrub(self._path, sorted(self._pending), self._page_size)
        self._pending = set()
        # The connection's cached pages have the old gaps and would bring them back.
        self._connection.execute("PRAGMA shrink_memory")
        return True
