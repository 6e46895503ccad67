"""Searches that arrive while another runs are answered together, by one pass over memory.

There is no thread for it: whoever comes first searches, and then tells the first of those who came
meanwhile to search for all of them. A search by itself changes threads nowhere.
"""

import threading
from collections import deque
from collections.abc import Sequence
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
    woken: threading.Event = field(default_factory=threading.Event)
    """Answered, or the one to search next."""
    answer: Found | Exception | None = None

    @property
    def key(self) -> tuple[int, bool]:
        return id(self.view or self.projection), self.want.fast


class SearchBatcher:
    """Takes all that waits, gallery by gallery. Thread-safe."""

    def __init__(self, engine: SearchEngine, bound: int) -> None:
        """More than `bound` waiting searches are refused at once."""
        self._engine = engine
        self._bound = bound
        self._state = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._searching = False
        self._closed = False

    def search(
        self, projection: Projection, query: Queries, want: Want, view: View | None = None
    ) -> Found:
        """Answers one probe from `view`, or from the newest when it is its turn.

        Raises BusyError where too many wait.
        """
        own = _Waiting(projection, query, want, view)
        if not self._first(own):
            own.woken.wait()
        if own.answer is None:
            self._search_for_all()
        if isinstance(own.answer, Found):
            return own.answer
        raise own.answer or RuntimeError("whoever searches is among those who wait")

    def close(self) -> None:
        """What waits is answered before it returns."""
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: not self._searching)

    def _first(self, own: _Waiting) -> bool:
        with self._state:
            if self._closed:
                raise NotReadyError("the gallery is closing")
            if len(self._waiting) >= self._bound:
                raise BusyError("too many searches are waiting")
            self._waiting.append(own)
            first = not self._searching
            self._searching = True
        return first

    def _search_for_all(self) -> None:
        with self._state:
            taken = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
        try:
            for key in dict.fromkeys(one.key for one in taken):
                self._answer([one for one in taken if one.key == key])
        finally:
            for one in taken:
                one.woken.set()
            self._pass_on()

    def _pass_on(self) -> None:
        with self._state:
            if self._waiting:
                self._waiting[0].woken.set()
            else:
                self._searching = False
                self._state.notify_all()

    def _answer(self, group: Sequence[_Waiting]) -> None:
        try:
            view = group[0].view or group[0].projection.view
            queries = Queries.join([one.query for one in group])
            answers = self._engine.search(view, queries, [one.want for one in group])
        except Exception as error:
            for one in group:
                one.answer = error
            return
        for one, ranked in zip(group, answers, strict=True):
            one.answer = Found(ranked, view)
