"""The thread that writes the log: what waits shares one fsync.

While the log cannot be written (disk full, I/O error) what happened is kept in memory and tried
again every second. Changes are refused meanwhile by `check`, searches and erasures go on; beyond
`BACKLOG` entries the newest are counted instead of kept, and the count is recorded.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import AuditFailedError, StartError
from app.security.audit.chain import Chain
from app.security.audit.event import Event, Head, Origin, origin
from app.security.audit.files import MAX_BYTES, AuditFiles, Pending, now
from app.security.keysource import KeySource, key_source
from app.settings import Settings

BACKLOG = 10_000
EVERY_SECONDS = 1.0
_log = logging.getLogger("norma.audit")


@dataclass(slots=True)
class _Waiting:
    pending: Pending
    head: "Future[Head | None]" = field(default_factory=Future)
    durable: bool = False


class AuditLog:
    """Opened by the first thing recorded; until then there is no file and no thread."""

    def __init__(
        self,
        directory: Path,
        source: KeySource,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], int] = now,
    ) -> None:
        self._directory = directory
        self._source = source
        self._max_bytes = max_bytes
        self._clock = clock
        self._files: AuditFiles | None = None
        self._failure: Exception | None = None
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._backlog: list[_Waiting] = []
        self._dropped = 0
        self._door = threading.Lock()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Raises StartError where the log cannot be gone on with."""
        with self._door:
            if self._files is None:
                self._files = AuditFiles(self._directory, self._source, self._max_bytes)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()

    @property
    def chain(self) -> Chain:
        """Raises StartError."""
        self.open()
        assert self._files is not None  # noqa: S101 - opened
        return self._files.chain

    def check(self) -> None:
        try:
            self.open()
        except StartError as error:
            raise AuditFailedError(error.message) from error
        if self._failure is not None:
            raise AuditFailedError(f"the audit log cannot be written: {self._failure}")

    def record(self, event: Event) -> Head | None:
        return self._put(event, durable=True).result()

    def note(self, event: Event) -> None:
        self._put(event, durable=False)

    def close(self) -> None:
        """Writes what waits."""
        with self._door:
            thread, self._thread = self._thread, None
            self._queue.put(None)
        if thread is not None:
            thread.join()

    def _put(self, event: Event, *, durable: bool) -> "Future[Head | None]":
        waiting = _Waiting((event, self._clock(), origin()), durable=durable)
        try:
            self.open()
        except StartError as error:
            _log.error("not recorded: %s", error.message)
            waiting.head.set_result(None)
            return waiting.head
        self._queue.put(waiting)
        return waiting.head

    def _run(self) -> None:
        unsynced = closing = False
        while not closing:
            batch, closing = self._gather()
            durable = closing or not batch or any(one.durable for one in batch)
            if batch or self._backlog:
                unsynced = self._append(batch, sync=durable) or unsynced
            if unsynced and durable:
                unsynced = not self._attempt(self._opened.sync)

    @property
    def _opened(self) -> AuditFiles:
        assert self._files is not None  # noqa: S101 - the thread begins after
        return self._files

    def _gather(self) -> tuple[list[_Waiting], bool]:
        batch: list[_Waiting] = []
        try:
            one = self._queue.get(timeout=EVERY_SECONDS)
            while one is not None:
                batch.append(one)
                one = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _append(self, batch: list[_Waiting], *, sync: bool) -> bool:
        """Whether something has been written that is not durable yet."""
        all_ = self._backlog + batch
        pending = [one.pending for one in all_]
        if self._dropped:
            lost = Event("audit.lost", "", details={"entries": self._dropped})
            pending.append((lost, self._clock(), Origin()))
        heads: list[Head] = []
        written = self._attempt(lambda: heads.extend(self._opened.append(pending, sync=sync)))
        if not written:
            self._keep(all_)
            return False
        self._backlog, self._dropped = [], 0
        for one, head in zip(all_, heads, strict=False):
            if not one.head.done():
                one.head.set_result(head)
        return not sync

    def _keep(self, all_: list[_Waiting]) -> None:
        """Nobody waits for a log that cannot be written."""
        for one in all_:
            if not one.head.done():
                one.head.set_result(None)
        self._backlog = all_[:BACKLOG]
        self._dropped += len(all_) - len(self._backlog)

    def _attempt(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except (OSError, StartError) as error:
            if self._failure is None:
                _log.error("the audit log cannot be written, changes are refused: %s", error)
            self._failure = error
            return False
        if self._failure is not None:
            _log.warning("the audit log can be written again")
        self._failure = None
        return True


def open_audit(settings: Settings) -> AuditLog:
    """Opened at once where there is a log. Raises StartError where it cannot be gone on with."""
    log = AuditLog(settings.audit_dir, key_source(settings))
    if settings.audit_dir.exists():
        log.open()
    return log
