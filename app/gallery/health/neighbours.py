"""For each face looked at, the nearest faces of other subjects; kept up to date cheaply.

A new face can only enter where it is nearer than the farthest neighbour kept, and a neighbour can
only leave by being erased. So only those probes are searched for again; the outcome is the same as
a search for all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.gallery.health.sample import Rows, unit_features
from app.gallery.index.codes import Queries
from app.gallery.index.engine import SearchEngine, Want
from app.gallery.index.rescore import Ranked
from app.gallery.index.segment import View

KEPT = 4
"""Other subjects kept for each probe."""
NOBODY = -2.0
"""Below any cosine: there is no such neighbour."""
_BATCH = 32
_BLOCK = 2048
_MARGIN = 1e-4
"""Float32 products may lie this far below the score that a search gives."""

Pace = Callable[[], None]
"""Called between pieces of work; waits, or raises to stop."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Probes (P,) ascending by face id, and of each the best face of its nearest `KEPT` other
    subjects, nearest first. `newest_id` is the highest face id that was looked at."""

    probes_P: NDArray[np.int64] = field(repr=False)
    own_P: NDArray[np.int64] = field(repr=False)
    faces_PK: NDArray[np.int64] = field(repr=False)
    subjects_PK: NDArray[np.int64] = field(repr=False)
    similarities_PK: NDArray[np.float32] = field(repr=False)
    newest_id: int

    @classmethod
    def none(cls) -> "Neighbours":
        return cls._blank(np.zeros(0, np.int64), np.zeros(0, np.int64), 0)

    @classmethod
    def _blank(
        cls, probes_P: NDArray[np.int64], own_P: NDArray[np.int64], newest_id: int
    ) -> "Neighbours":
        shape = (len(probes_P), KEPT)
        return cls(
            probes_P,
            own_P,
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int64),
            np.full(shape, NOBODY, np.float32),
            newest_id,
        )

    def _put(self, place: int, found: Ranked) -> None:
        others = found.take(found.subject_ids != self.own_P[place]).take(slice(KEPT))
        count = len(others.face_ids)
        self.faces_PK[place, :count] = others.face_ids
        self.subjects_PK[place, :count] = others.subject_ids
        self.similarities_PK[place, :count] = others.similarities


def neighbours(
    engine: SearchEngine,
    view: View,
    rows: Rows,
    probes: NDArray[np.intp],
    before: Neighbours,
    pace: Pace,
) -> tuple[Neighbours, int]:
    """Of the probes, places in `rows`; and how many were searched for."""
    places = np.sort(probes)
    found = Neighbours._blank(rows.ids_N[places], rows.subjects_N[places], view.newest_id)
    unit = unit_features(view, found.probes_P) if len(places) else np.zeros((0, 1), np.float32)
    searched = ~_carried(found, rows, before)
    for block in _blocks(np.flatnonzero(~searched), _BLOCK):
        searched[block] |= _entered(view, rows, before.newest_id, unit[block], found, block)
        pace()
    todo = np.flatnonzero(searched)
    for batch in _blocks(todo, _BATCH):
        queries = Queries.of(unit[batch])
        answers = engine.search(view, queries, [Want(KEPT + 1)] * len(batch))
        found.similarities_PK[batch] = NOBODY
        for place, ranked in zip(batch, answers, strict=True):
            found._put(int(place), ranked)
        pace()
    return found, len(todo)


def _carried(found: Neighbours, rows: Rows, before: Neighbours) -> NDArray[np.bool_]:
    """Which probes were looked at before, and have all their neighbours still; copied over."""
    carried = np.isin(found.probes_P, before.probes_P)
    old = np.searchsorted(before.probes_P, found.probes_P[carried])
    real = before.similarities_PK[old] > NOBODY
    there = np.isin(before.faces_PK[old], rows.ids_N) | ~real
    carried[np.flatnonzero(carried)[~there.all(axis=1)]] = False
    old = np.searchsorted(before.probes_P, found.probes_P[carried])
    found.faces_PK[carried] = before.faces_PK[old]
    found.subjects_PK[carried] = before.subjects_PK[old]
    found.similarities_PK[carried] = before.similarities_PK[old]
    return carried


def _entered(
    view: View,
    rows: Rows,
    seen: int,
    unit_BD: NDArray[np.float32],
    found: Neighbours,
    block: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Which probes of the block have a nearer stranger among the faces that came since."""
    entered = np.zeros(len(block), np.bool_)
    farthest = found.similarities_PK[block, -1] - _MARGIN
    for fresh in _blocks(np.flatnonzero(rows.ids_N > seen), _BLOCK):
        scores = unit_BD @ unit_features(view, rows.ids_N[fresh]).T
        strangers = found.own_P[block][:, None] != rows.subjects_N[fresh][None, :]
        entered |= ((scores >= farthest[:, None]) & strangers).any(axis=1)
    return entered


def _blocks(places: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    return [places[start : start + size] for start in range(0, len(places), size)]
