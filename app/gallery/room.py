"""The gallery inside the service: opened from the settings, called from the event loop."""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from app.errors import GalleryCorruptError, NotReadyError
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.settings import Settings

T = TypeVar("T")
_log = logging.getLogger("norma.gallery")


@dataclass(frozen=True, slots=True)
class GalleryRoom:
    """Either a gallery, or the damage for which there is none; the rest of the service goes on."""

    service: GalleryService | None
    damage: GalleryCorruptError | None
    threads: ThreadPoolExecutor

    async def run(self, work: Callable[[GalleryService], T]) -> T:
        """`work` in a thread. Raises GalleryCorruptError where the database is damaged.

        What has been committed stays, whether or not the caller is still there.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self.threads, lambda: work(self._opened())
        )

    def check_ready(self) -> None:
        """Raises NotReadyError where enrolments are not possible. Costs nothing."""
        if self.damage is not None:
            raise NotReadyError(self.damage.message)
        status = self._opened().status()
        if not status.ready:
            raise NotReadyError(status.reason or "the gallery's store has failed")

    def close(self) -> None:
        self.threads.shutdown()
        if self.service is not None:
            self.service.close()

    def _opened(self) -> GalleryService:
        if self.service is None:
            raise self.damage or NotReadyError("the gallery is closed")
        return self.service


def open_room(settings: Settings) -> GalleryRoom:
    """Raises StartError where the directory cannot be used."""
    threads = ThreadPoolExecutor(settings.gallery_concurrency, thread_name_prefix="gallery")
    cores = os.cpu_count() or 1
    options = StoreOptions(
        feature_type=settings.gallery_feature_type,
        max_bytes=settings.gallery_max_bytes,
        load_threads=cores,
    )
    try:
        store = GalleryStore(settings.gallery_dir, options)
    except GalleryCorruptError as damage:
        _log.error("%s", damage.message)  # noqa: TRY400 - the message is the whole story
        return GalleryRoom(None, damage, threads)
    return GalleryRoom(GalleryService(store, cores, settings.gallery_queue), None, threads)
