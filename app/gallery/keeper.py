"""The housekeeping thread: snapshot files, purging of what was erased, expiry."""

import logging
import queue
import threading
from concurrent.futures import Future
from pathlib import Path

from app.errors import NormaError, StorageFailedError
from app.gallery import operations, purge, tombstones
from app.gallery.database import ReaderPool
from app.gallery.failpoints import Failpoints
from app.gallery.index.projection import Projection
from app.gallery.operations import DOOMED
from app.gallery.projections import Projections
from app.gallery.rows import galleries, subjects, vault
from app.gallery.rows.common import now
from app.gallery.snapshot import Snapshot
from app.gallery.types import Gallery
from app.gallery.writer import Writer
from app.security.audit.event import Auditor

EVERY_SECONDS = 1.0
SWEEP_SECONDS = 60
_CHUNK = 50
_log = logging.getLogger("norma.gallery")


class Keeper:
    """Several erasures that wait share one purge, as several writes share one commit."""

    def __init__(
        self,
        *,
        directory: Path,
        epoch: str,
        feature_type: str,
        readers: ReaderPool,
        writer: Writer,
        projections: Projections,
        log: tombstones.TombstoneLog,
        audit: Auditor,
        failpoints: Failpoints,
    ) -> None:
        self._directory = directory
        self._epoch = epoch
        self._feature_type = feature_type
        self._readers = readers
        self._writer = writer
        self._projections = projections
        self._log = log
        self._audit = audit
        self._failpoints = failpoints
        self._snapshots: dict[str, Snapshot] = {}
        self._tickets: queue.SimpleQueue[Future[None] | None] = queue.SimpleQueue()
        self._next_sweep = 0
        self._thread = threading.Thread(target=self._run, name="gallery-keeper", daemon=True)

    def snapshot(self, gallery: Gallery) -> Snapshot:
        """A gallery's snapshot; for the thread that starts the keeper, and then the keeper's."""
        if self._has_moved(gallery):
            self._snapshots.pop(gallery.uid).discard()
        if gallery.uid not in self._snapshots:
            self._snapshots[gallery.uid] = Snapshot(
                self._directory, self._epoch, gallery, self._feature_type, self._failpoints
            )
        return self._snapshots[gallery.uid]

    def start(self) -> None:
        self._thread.start()

    def purge(self) -> "Future[None]":
        """Done when all that was erased before the call is gone from every file."""
        ticket: Future[None] = Future()
        self._tickets.put(ticket)
        return ticket

    def sweep(self) -> None:
        """Erases subjects whose time is over now, and not only in the next minute."""
        self._next_sweep = 0
        self.purge().result()

    def close(self) -> None:
        self._tickets.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            waiting, closing = self._wait()
            try:
                self._round(bool(waiting))
            except Exception as error:
                _log.exception("housekeeping failed")
                _settle(waiting, error)
            _settle(waiting, None)
            if closing:
                return

    def _wait(self) -> tuple[list["Future[None]"], bool]:
        waiting: list[Future[None]] = []
        try:
            ticket = self._tickets.get(timeout=EVERY_SECONDS)
            while ticket is not None:
                waiting.append(ticket)
                ticket = self._tickets.get_nowait()
        except queue.Empty:
            return waiting, False
        return waiting, True

    def _round(self, purging: bool) -> None:
        sealed = self._projections.take_sealed()
        if self._writer.failure is not None:
            raise self._writer.failure
        self._sweep()
        if purging:
            self._purge()
        for gallery in self._galleries():
            if gallery.id in sealed:
                self._save(gallery)

    def _galleries(self) -> list[Gallery]:
        with self._readers.connection() as connection:
            return galleries.all_owners(connection)

    def _save(self, gallery: Gallery) -> None:
        projection: Projection | None = self._projections.find(gallery)
        if projection is not None:
            self.snapshot(gallery).save(projection.view)

    def _purge(self) -> None:
        # Asked of the writer, between its batches, so that the index knows of all these.
        noted = self._writer.alone(lambda transaction: purge.noted(transaction.connection))
        touched = {uid for _, uid in noted}
        known = self._galleries()
        for gallery in known:
            if gallery.name.startswith(DOOMED):
                self._erase_gallery(gallery)
                continue
            if gallery.uid in touched or self._has_moved(gallery):
                self._save(gallery)
            if not gallery.spec.policy.vault:
                self._empty_vault(gallery)
        self._failpoints.point("purge_snapshots")
        self._copy_tombstones()
        self._writer.write(lambda transaction: purge.forget(transaction, [i for i, _ in noted]))
        if not self._writer.checkpoint():
            raise StorageFailedError(
                "erased from search; a long read (a backup?) kept the files from being purged"
            )
        self._failpoints.point("purged")

    def _has_moved(self, gallery: Gallery) -> bool:
        known = self._snapshots.get(gallery.uid)
        return known is not None and known.contract_id != gallery.spec.contract_id

    def _empty_vault(self, gallery: Gallery) -> None:
        """Of a gallery that had one: nothing in it can be opened any more."""
        with self._readers.connection() as connection:
            held = vault.holds(connection, gallery)
        while held:
            held = self._writer.write(
                lambda transaction: vault.erase_some(transaction.connection, gallery, _CHUNK),
                erases=True,
            )

    def _copy_tombstones(self) -> None:
        with self._readers.connection() as connection:
            fresh = tombstones.after(connection, self._log.last)
        self._log.append(fresh)

    def _erase_gallery(self, gallery: Gallery) -> None:
        self._projections.drop(gallery)
        self.snapshot(gallery).discard()
        while self._writer.write(
            lambda transaction: operations.erase_some(transaction, gallery.uid, _CHUNK),
            erases=True,
        ):
            pass
        del self._snapshots[gallery.uid]

    def _sweep(self) -> None:
        """Erases subjects whose time is over."""
        at = now()
        if at < self._next_sweep:
            return
        self._next_sweep = at + SWEEP_SECONDS * 1000
        with self._readers.connection() as connection:
            over = subjects.expired(connection, at, 1000)
        for owner, gallery, key in over:
            self._expire(owner, gallery, key)
        if over:
            self._purge()

    def _expire(self, owner: str, gallery: str, key: str) -> None:
        try:
            erased = self._writer.write(
                lambda transaction: operations.erase_subject(transaction, owner, gallery, key),
                erases=True,
            )
            self._audit.record(erased.event("subject.expired", owner, gallery, key))
        except NormaError as error:
            _log.warning("an expired subject could not be erased: %s", error)


def _settle(waiting: list["Future[None]"], error: Exception | None) -> None:
    for ticket in waiting:
        if ticket.done():
            continue
        if error is None:
            ticket.set_result(None)
        else:
            ticket.set_exception(error)
