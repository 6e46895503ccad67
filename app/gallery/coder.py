"""The thread that makes sealed segments fast to scan, one at a time, while searches go on: it
makes the fast tier's codes, and copies for a GPU."""

import logging
import threading
from weakref import WeakKeyDictionary

from app.gallery.index.fast import FastCoder, unit_vectors
from app.gallery.index.gpu import GpuShelf
from app.gallery.index.projection import Projection
from app.gallery.index.segment import Segment
from app.gallery.projections import Projections

EVERY_SECONDS = 0.5
SMALLEST = 4096
"""Rows under which an exact scan takes no longer."""
_log = logging.getLogger("norma.gallery")


class Coder:
    """Looks for sealed segments without fast codes. A gallery's code book lives with its index,
    so erasing a gallery forgets it, and a restart learns it again."""

    def __init__(self, projections: Projections, gpu: GpuShelf | None = None) -> None:
        self._projections = projections
        self._gpu = gpu
        self._books: WeakKeyDictionary[Projection, FastCoder] = WeakKeyDictionary()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gallery-coder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            for projection, segment in self._uncoded():
                if self._stop.is_set():
                    return
                self._code(projection, segment)

    def _uncoded(self) -> list[tuple[Projection, Segment]]:
        return [
            (projection, part.segment)
            for projection in self._projections.all()
            for part in projection.view.parts
            if part.segment.full and part.segment.rows >= SMALLEST and part.segment.fast is None
        ]

    def _code(self, projection: Projection, segment: Segment) -> None:
        try:
            if projection not in self._books:
                self._books[projection] = FastCoder(segment.dim)
            if self._gpu is not None:
                self._gpu.take(segment, unit_vectors(segment))
            self._books[projection].code(segment)
        except Exception:
            _log.exception("a segment could not be coded; it is searched exactly")
            self._stop.set()
