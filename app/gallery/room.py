"""The gallery inside the service: opened from the settings, called from the event loop."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from time import perf_counter
from typing import TypeVar

from app.errors import (
    BusyError,
    GalleryCorruptError,
    NormaError,
    NotReadyError,
    StartError,
    StorageFailedError,
)
from app.gallery.health.examiner import HealthPlan, Totals
from app.gallery.index.gpu import GpuShelf, copier
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.gallery.types import Holdings
from app.security.audit.event import SILENT as UNRECORDED
from app.security.audit.event import Auditor
from app.security.keysource import key_source
from app.settings import Settings
from app.telemetry.meters import SILENT, Load, Meters

T = TypeVar("T")
_log = logging.getLogger("norma.gallery")


class GalleryRoom:
    """The gallery, once somebody asks for it: until then no file, no thread, no memory.

    Where its database is damaged, the rest of the service goes on, and says so.
    """

    def __init__(
        self,
        opening: Callable[[], GalleryService],
        threads: int,
        queue: int,
        meters: Meters = SILENT,
    ) -> None:
        """`opening` is called once, at the first question; `threads` questions are answered at
        once and `queue` may wait."""
        self._opening = opening
        self._at_once = threads
        self._capacity = threads + queue
        self._meters = meters
        self._taken = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="gallery")
        self._door = threading.Lock()
        self._counting = threading.Lock()
        self._service: GalleryService | None = None
        self._damage: GalleryCorruptError | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a gallery: nobody has asked for one before, and none was found."""
        return self._service is not None

    def open(self) -> None:
        """Raises StartError where the directory cannot be used; damage is kept for later."""
        with self._door:
            if self._service is not None or self._damage is not None:
                return
            try:
                self._service = self._opening()
            except GalleryCorruptError as damage:
                _log.error("%s", damage.message)
                self._damage = damage

    async def run(self, work: Callable[[GalleryService], T]) -> T:
        """`work` in a thread. Raises GalleryCorruptError where the database is damaged,
        StorageFailedError where the directory cannot be used, BusyError where it does not fit.

        What has been committed stays, whether or not the caller is still there.
        """
        if self._taken >= self._capacity:
            raise BusyError("too many gallery requests are waiting; try again shortly")
        submitted = perf_counter()

        def begun() -> T:
            self._meters.waited("gallery", perf_counter() - submitted)
            return work(self.opened())

        with self._counting:
            self._taken += 1
        future = self._threads.submit(copy_context().run, begun)
        # On the thread's own future: a caller who goes away leaves a question that is still being
        # answered, and its place is not free before that has ended.
        future.add_done_callback(self._release)
        return await asyncio.wrap_future(future)

    def _release(self, _: Future[T]) -> None:
        with self._counting:
            self._taken -= 1

    def load(self) -> Load:
        """How many questions are answered and wait, of how many."""
        taken = self._taken
        running = min(taken, self._at_once)
        return Load(running, taken - running, self._capacity)

    def holdings(self, contract_id: str) -> dict[str, Holdings]:
        """What is enrolled; nothing where the store is not open or cannot be read."""
        if self._service is None:
            return {}
        try:
            return self._service.holdings(contract_id)
        except NormaError:
            return {}

    def totals(self) -> Totals | None:
        """What is known of the galleries' health; None where the store is not open."""
        return None if self._service is None else self._service.health.totals()

    def check_ready(self) -> None:
        """Raises NotReadyError where enrolments are not possible. Costs nothing."""
        if self._damage is not None:
            raise NotReadyError(self._damage.message)
        if self._service is None:
            return
        status = self._service.status()
        if not status.ready:
            raise NotReadyError(status.reason or "the gallery's store has failed")

    def close(self) -> None:
        """Let what runs end, and free the directory."""
        self._threads.shutdown()
        if self._service is not None:
            self._service.close()

    def opened(self) -> GalleryService:
        """The service behind the room, opened if need be: for who has a thread of their own.

        Raises as `run` does.
        """
        try:
            self.open()
        except StartError as error:
            # The message names paths: it is the operator's, whose log tells the cause.
            raise StorageFailedError(
                "the gallery's storage cannot be opened; the service's log says why"
            ) from error
        if self._service is None:
            raise self._damage or NotReadyError("the gallery is closed")
        return self._service


def open_store(
    settings: Settings, audit: Auditor = UNRECORDED, gpu: GpuShelf | None = None
) -> GalleryStore:
    """Raises StartError where the directory cannot be used, GalleryCorruptError."""
    options = StoreOptions(
        feature_type=settings.gallery_feature_type,
        max_bytes=settings.gallery_max_bytes,
        load_threads=os.cpu_count() or 1,
        keys=key_source(settings),
        audit=audit,
        gpu=gpu,
    )
    return GalleryStore(settings.gallery_dir, options)


def open_room(
    settings: Settings,
    meters: Meters = SILENT,
    audit: Auditor = UNRECORDED,
    plan: HealthPlan | None = None,
) -> GalleryRoom:
    """Opened at once where there is a gallery. Raises StartError where that cannot be used."""

    def opening() -> GalleryService:
        threads, queue = os.cpu_count() or 1, settings.gallery_queue
        return GalleryService(open_store(settings, audit, gpu), threads, queue, meters, plan)

    # Now, not at the first enrolment: a GPU that is not there refuses the start.
    gpu = None if settings.gallery_gpu is None else GpuShelf(copier(settings.gallery_gpu))
    room = GalleryRoom(opening, settings.gallery_concurrency, settings.gallery_queue, meters)
    if (settings.gallery_dir / "gallery.db").exists():
        room.open()
    return room
