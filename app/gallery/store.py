"""The gallery's data directory, opened: database, writer, readers, indexes, housekeeping.

gallery.db      the truth (with -wal and -shm beside it)
erasures.log    tombstones, for the day an old gallery.db comes back
index/          sealed segments of the indexes; may be deleted at any time
reserve         space given up when the disk is full, so that erasing still works
lock            held by the one process that uses the directory
"""

import os
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from app.errors import GalleryCorruptError, StartError
from app.gallery import operations, purge, tombstones
from app.gallery.checkpoints import Checkpoints
from app.gallery.coder import Coder
from app.gallery.database import Connection, ReaderPool, store_error
from app.gallery.failpoints import Failpoints
from app.gallery.index.gpu import GpuShelf
from app.gallery.index.projection import Projection
from app.gallery.index.segment import FULL
from app.gallery.keeper import Keeper
from app.gallery.lock import DirectoryLock
from app.gallery.operations import DOOMED
from app.gallery.projections import Projections
from app.gallery.rows import galleries
from app.gallery.types import FeatureType, Gallery
from app.gallery.unlock import unlocked
from app.gallery.writer import Transaction, Writer
from app.security.audit.event import SILENT, Auditor
from app.security.keysource import KeySource, NoKey

T = TypeVar("T")
RESERVE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How a data directory is opened."""

    feature_type: FeatureType = "float16"
    """How features are kept; fixed when the directory is new."""
    max_bytes: int | None = None
    """The most the database file may take; then storage_full."""
    load_threads: int = 2
    segment_rows: int = FULL
    """Faces in one file of the snapshot."""
    check_first_bytes: int = 64 * 1024 * 1024
    """Up to this size every page is checked before serving, beyond it meanwhile."""
    keys: KeySource = field(default_factory=NoKey)
    """Where the master key comes from; without one nothing is encrypted."""
    audit: Auditor = SILENT
    """Where what is done is recorded."""
    gpu: GpuShelf | None = None
    """Where sealed segments are searched, if not by the processor."""


class GalleryStore:
    """Owns everything in one data directory. Thread-safe."""

    def __init__(self, directory: Path, options: StoreOptions = StoreOptions()) -> None:
        """Raises StartError where the directory cannot be used, GalleryCorruptError where the
        database is damaged."""
        self.directory = directory
        self.options = options
        self._failpoints = Failpoints.from_environment()
        self._lock = _claim(directory)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        path = self.directory / "gallery.db"
        connection, self._checkpoints = _prepare(path, self.options, self._failpoints)
        self.epoch = _meta(connection, "epoch", secrets.token_hex(16))
        _agree(_meta(connection, "feature_type", self.options.feature_type), self.options)
        self._readers = ReaderPool(path, connection.seals)
        self._log = tombstones.TombstoneLog(self.directory / "erasures.log")
        self.projections = Projections(self.options.feature_type, self.options.segment_rows)
        self._refill_reserve()
        self.writer = Writer(
            connection,
            self.projections.apply,
            self._failpoints,
            self._give_up_reserve,
            self._checkpoints,
        )
        self._apply_tombstones()
        self.keeper = Keeper(
            directory=self.directory / "index",
            epoch=self.epoch,
            feature_type=self.options.feature_type,
            readers=self._readers,
            writer=self.writer,
            projections=self.projections,
            log=self._log,
            audit=self.options.audit,
            failpoints=self._failpoints,
        )
        self._load()
        self._coder = Coder(self.projections, self.options.gpu)
        self._coder.start()
        self.keeper.start()
        self.keeper.purge()
        self._checking = threading.Thread(
            target=self._check_meanwhile, args=(path,), name="gallery-check", daemon=True
        )
        self._checking.start()
        self._connection = connection

    def read(self) -> AbstractContextManager[Connection]:
        """A read connection. Raises GalleryCorruptError once damage has been met."""
        if isinstance(self.writer.failure, GalleryCorruptError):
            raise self.writer.failure
        return self._readers.connection()

    def write(self, operation: Callable[[Transaction], T], *, erases: bool = False) -> T:
        """Durable and searchable on return."""
        return self.writer.write(operation, erases=erases)

    def close(self) -> None:
        """Finishes what was accepted. The directory is free again."""
        self._checking.join()
        self._coder.close()
        self.keeper.close()
        self.writer.close()
        self._readers.close()
        self._checkpoints.run()
        self._connection.close()
        self._lock.release()

    def _apply_tombstones(self) -> None:
        """Where the file knows of more erasures than the database, an old backup has come back."""
        with self._readers.connection() as connection:
            known = tombstones.last(connection)
        for tombstone in self._log.entries:
            if tombstone.seq > known:
                self.writer.write(partial(operations.apply_tombstone, tombstone=tombstone))

    def _load(self) -> None:
        with self._readers.connection() as connection:
            found = [g for g in galleries.all_owners(connection) if not g.name.startswith(DOOMED)]
            erased = np.array(sorted(i for i, _ in purge.noted(connection)), np.int64)
        self._remove_strangers({gallery.uid for gallery in found})
        with ThreadPoolExecutor(self.options.load_threads) as executor:
            list(executor.map(lambda gallery: self._load_one(gallery, erased), found))

    def _load_one(
        self, gallery: Gallery, erased: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    ) -> None:
        snapshot = self.keeper.snapshot(gallery)
        with self._readers.connection() as connection:
            parts = snapshot.load(gallery.revision, self.options.load_threads)
            projection = self.projections.open(gallery, parts)
            last = int(parts[-1].segment.ids[-1]) if parts else 0
            projection.remove(gallery.revision, erased)
            self.projections.catch_up(connection, gallery, projection, last)
            if _summary(projection) != (gallery.faces, gallery.id_sum):
                snapshot.discard()
                projection = self.projections.open(gallery)
                self.projections.catch_up(connection, gallery, projection, 0)

    def _check_meanwhile(self, path: Path) -> None:
        if path.stat().st_size <= self.options.check_first_bytes:
            return
        try:
            with self._readers.connection() as connection:
                _check(connection)
        except GalleryCorruptError as damage:
            self.writer.failure = damage

    def _remove_strangers(self, known: set[str]) -> None:
        """Snapshots of galleries that the database does not have (any more)."""
        directory = self.directory / "index"
        directory.mkdir(exist_ok=True)
        for path in directory.iterdir():
            if path.name not in known:
                shutil.rmtree(path)

    def _refill_reserve(self) -> None:
        path = self.directory / "reserve"
        if not path.exists():
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)

    def _give_up_reserve(self) -> bool:
        path = self.directory / "reserve"
        there = path.exists()
        path.unlink(missing_ok=True)
        return there


def _claim(directory: Path) -> DirectoryLock:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return DirectoryLock(directory / "lock")
    except OSError as error:
        raise StartError(f"the gallery's directory {directory} cannot be used: {error}") from error


def _prepare(
    path: Path, options: StoreOptions, failpoints: Failpoints
) -> tuple[Connection, Checkpoints]:
    """The writing connection, migrated, unlocked and checked."""
    try:
        connection, checkpoints = unlocked(path, options.keys, failpoints)
        if options.max_bytes is not None:
            page = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={options.max_bytes // page}")
        if path.stat().st_size <= options.check_first_bytes:
            _check(connection)
    except sqlite3.Error as error:
        meaning = store_error(error)
        if isinstance(meaning, GalleryCorruptError):
            raise meaning from error
        raise StartError(f"the gallery database {path} cannot be opened: {error}") from error
    return connection, checkpoints


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise GalleryCorruptError(
            f"the gallery database is damaged ({found}): restore a backup (norma gallery restore)"
        )


def _meta(connection: sqlite3.Connection, name: str, default: str) -> str:
    connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, default))
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return str(row[0])


def _agree(stored: str, options: StoreOptions) -> None:
    if stored != options.feature_type:
        raise StartError(
            f"the gallery keeps features as {stored}, the settings say {options.feature_type}"
        )


def _summary(projection: Projection) -> tuple[int, int]:
    """(faces, sum of their ids): equal to the database's, or the index is not of it."""
    total = 0
    for part in projection.view.parts:
        ids = part.segment.ids[: part.rows][part.alive_mask()]
        total += int(ids.sum())
    return projection.view.faces, total % galleries.ID_SUM_MODULUS
