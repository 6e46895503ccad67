"""Searches that arrive while another runs are answered together, by one pass over memory."""

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from app.errors import BusyError, NotReadyError
from app.gallery.index.codes import Queries
from app.gallery.index.engine import SearchEngine, Want
from app.gallery.index.projection import Projection
from app.gallery.index.rescore import Ranked
from app.gallery.index.segment import View

MAX_BATCH = 64


@dataclass(frozen=True, slots=True)
class Found:
    """A search's answer and the state of the index that it was found in."""

    ranked: Ranked
    view: View


@dataclass(slots=True)
class _Waiting:
    projection: Projection
    query: Queries
    want: Want
    view: View | None
    future: "Future[Found]" = field(default_factory=Future)

    @property
    def key(self) -> tuple[int, bool]:
        return id(self.view or self.projection), self.want.fast


class SearchBatcher:
    """One thread that takes all that waits, gallery by gallery."""

    def __init__(self, engine: SearchEngine, bound: int) -> None:
        """More than `bound` waiting searches are refused at once."""
        self._engine = engine
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(bound)
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="gallery-search", daemon=True)
        self._thread.start()

    def search(
        self, projection: Projection, query: Queries, want: Want, view: View | None = None
    ) -> Found:
        """Answers one probe from `view`, or from the newest when it is its turn.

        Raises BusyError where too many wait.
        """
        waiting = _Waiting(projection, query, want, view)
        with self._closing:
            if self._closed:
                raise NotReadyError("the gallery is closing")
            try:
                self._queue.put_nowait(waiting)
            except queue.Full:
                raise BusyError("too many searches are waiting") from None
        return waiting.future.result()

    def close(self) -> None:
        with self._closing:
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            taken = [self._queue.get()]
            while len(taken) < MAX_BATCH and taken[-1] is not None:
                try:
                    taken.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            waiting = [one for one in taken if one is not None]
            for key in dict.fromkeys(one.key for one in waiting):
                self._answer([one for one in waiting if one.key == key])
            if len(waiting) < len(taken):
                return

    def _answer(self, group: Sequence[_Waiting]) -> None:
        try:
            view = group[0].view or group[0].projection.view
            queries = Queries.join([one.query for one in group])
            answers = self._engine.search(view, queries, [one.want for one in group])
        except Exception as error:
            for one in group:
                one.future.set_exception(error)
            return
        for one, ranked in zip(group, answers, strict=True):
            one.future.set_result(Found(ranked, view))
