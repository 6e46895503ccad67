"""Galleries examined in the background, one at a time and slowly; their reports kept in memory."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from app.errors import GalleryCorruptError, NormaError
from app.gallery.health.examine import Budget, Task, examine
from app.gallery.health.findings import KINDS, Kind, Limits, Report
from app.gallery.health.neighbours import Neighbours, Pace
from app.gallery.health.watch import Reference, Watch
from app.gallery.index.engine import SearchEngine
from app.gallery.operations import DOOMED
from app.gallery.rows import galleries
from app.gallery.rows import health as kept_rows
from app.gallery.store import GalleryStore
from app.gallery.types import Gallery
from app.rates.drift import Drift
from app.rates.own import OwnRates

REST = 20
"""Times as long as an examination took the gallery is left alone after it."""
_log = logging.getLogger("norma.gallery")


@dataclass(frozen=True, slots=True)
class HealthPlan:
    """`limits` say what is worth looking at in a gallery; changed galleries are looked at every
    so many seconds, or only when asked where `every` is 0."""

    limits: Callable[[Gallery], Limits] = field(default=lambda gallery: Limits())
    every: float = 0.0
    budget: Budget = field(default_factory=Budget)


@dataclass(slots=True)
class _State:
    watch: Watch
    own: OwnRates | None = None
    report: Report | None = None
    near: Neighbours = field(default_factory=Neighbours.none)
    not_before: float = 0.0
    waits: bool = False
    contract_id: str = ""
    """What it was measured in; empty where it is what the last start found: the gallery's own."""

    def is_of(self, gallery: Gallery) -> bool:
        """Nothing measured in one space holds in another."""
        return self.contract_id in ("", gallery.spec.contract_id)


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a gallery. `pending`: an examination has been asked for or runs."""

    report: Report | None
    pending: bool
    scores: Drift | None
    norms: Drift | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Over all galleries, for metrics: nobody's in particular."""

    reports: int
    drifted: dict[Literal["scores", "norms"], int]
    found: dict[Kind, int]


class _ClosingError(Exception):
    """The service ends; what was begun is given up."""


def _kept(store: GalleryStore) -> list[kept_rows.Kept]:
    """What earlier examinations left; nothing where the database is found damaged just now, which
    is for the store to tell."""
    try:
        with store.read() as connection:
            return kept_rows.all_owners(connection)
    except GalleryCorruptError:
        return []


class Examiner:
    """The health of one store's galleries. Thread-safe."""

    def __init__(self, store: GalleryStore, plan: HealthPlan) -> None:
        self._store = store
        self._plan = plan
        self._engine = SearchEngine(1)
        self._asked: queue.SimpleQueue[Gallery | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        kept = _kept(store)
        self._states = {one.gallery_id: _State(Watch(one.reference), one.own) for one in kept}
        self._kept = {one.gallery_id: one.reference for one in kept}
        self._thread = threading.Thread(target=self._run, name="gallery-health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Gives up what runs."""
        self._closing.set()
        self._asked.put(None)
        self._thread.join()
        self._engine.close()

    def own(self, gallery: Gallery) -> OwnRates | None:
        """What the gallery's own people say about strangers. From memory."""
        state = self._states.get(gallery.id)
        return None if state is None or not state.is_of(gallery) else state.own

    def note(self, gallery: Gallery, top: float | None, norm: float) -> None:
        """One face that was searched for: see Watch.note."""
        self._state(gallery).watch.note(top, norm)

    def health(self, gallery: Gallery) -> Health:
        """What is known. From memory."""
        state = self._state(gallery)
        scores, norms = state.watch.drift()
        return Health(state.report, state.waits, scores, norms)

    def refresh(self, gallery: Gallery) -> None:
        """Asks for an examination soon; once, however often it is asked."""
        state = self._state(gallery)
        with self._lock:
            if state.waits:
                return
            state.waits = True
        self._asked.put(gallery)

    def examine(self, gallery: Gallery, pace: Pace = lambda: None) -> Report:
        """Looks at the gallery now, in the caller's thread. Raises NotReadyError."""
        state = self._state(gallery)
        task = Task(
            limits=self._plan.limits(gallery),
            across=gallery.spec.identify or gallery.spec.conflict != "off",
            budget=self._plan.budget,
            before=state.near,
            pace=pace,
        )
        view = self._store.projections.get(gallery).view
        report, near = examine(self._engine, view, task)
        if report.own is not None:
            state.watch.measured(report.own)
        state.report, state.near, state.own = report, near, report.own
        self._keep(gallery, state)
        return report

    def totals(self) -> Totals:
        states = list(self._states.values())
        reports = [state.report for state in states if state.report is not None]
        drifts = [state.watch.drift() for state in states]
        return Totals(
            len(reports),
            {
                "scores": sum(one is not None and one.drifted for one, _ in drifts),
                "norms": sum(one is not None and one.drifted for _, one in drifts),
            },
            {kind: sum(report.found[kind].total or 0 for report in reports) for kind in KINDS},
        )

    def _state(self, gallery: Gallery) -> _State:
        with self._lock:
            state = self._states.get(gallery.id)
            if state is None or not state.is_of(gallery):
                state = self._states[gallery.id] = _State(Watch(Reference()))
            state.contract_id = gallery.spec.contract_id
            return state

    def _keep(self, gallery: Gallery, state: _State) -> None:
        """What a restart needs."""
        reference = state.watch.reference
        revision = 0 if state.report is None else state.report.revision
        kept = kept_rows.Kept(gallery.id, revision, state.own, reference)
        self._store.write(lambda t: kept_rows.save(t.connection, gallery, kept))
        self._kept[gallery.id] = reference

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                gallery = self._asked.get(timeout=self._plan.every or None)
            except queue.Empty:
                self._each(self._due)
                continue
            if gallery is not None:
                self._each(lambda one=gallery: [one])  # type: ignore[misc]

    def _each(self, which: Callable[[], list[Gallery]]) -> None:
        try:
            for gallery in which():
                self._one(gallery)
        except _ClosingError:
            return
        except NormaError as error:
            _log.warning("galleries' health: %s", error.message)
        except Exception:
            _log.exception("galleries' health failed")

    def _due(self) -> list[Gallery]:
        """Galleries that have changed since their report, and rested; forgets those erased."""
        with self._store.read() as connection:
            found = [g for g in galleries.all_owners(connection) if not g.name.startswith(DOOMED)]
        with self._lock:
            there = {gallery.id for gallery in found}
            for gone in self._states.keys() - there:
                del self._states[gone]
        return [gallery for gallery in found if self._is_due(gallery)]

    def _is_due(self, gallery: Gallery) -> bool:
        state = self._state(gallery)
        reference = state.watch.reference
        if reference.norms is not None and reference is not self._kept.get(gallery.id):
            self._keep(gallery, state)
        changed = state.report is None or state.report.revision != gallery.revision
        return changed and gallery.faces > 0 and time.monotonic() >= state.not_before

    def _one(self, gallery: Gallery) -> None:
        state = self._state(gallery)
        start = time.monotonic()
        try:
            self.examine(gallery, self._paced())
        finally:
            end = time.monotonic()
            state.not_before = end + REST * (end - start)
            state.waits = False

    def _paced(self) -> Pace:
        """Rests as long as each piece of work took: half a core at the most."""
        last = time.monotonic()

        def pace() -> None:
            nonlocal last
            if self._closing.wait(time.monotonic() - last):
                raise _ClosingError
            last = time.monotonic()

        return pace
