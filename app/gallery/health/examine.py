"""One look at a gallery's index, bounded in work whatever its size."""

import time
from dataclasses import dataclass
from secrets import token_hex

import numpy as np
from numpy.typing import NDArray

from app.errors import RateUnsupportedError
from app.gallery.health.findings import (
    MOST_LISTED,
    Examined,
    Found,
    Kind,
    Limits,
    Outlier,
    Pair,
    Report,
    Weak,
)
from app.gallery.health.neighbours import NOBODY, Neighbours, Pace, neighbours
from app.gallery.health.sample import Rows, further, leading, of_people
from app.gallery.health.within import Within, within
from app.gallery.index.engine import SearchEngine
from app.gallery.index.segment import View
from app.gallery.rows.common import now
from app.rates.own import PROBES, OwnRates


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of one examination. With up to 40,000 faces, every one is searched for."""

    comparisons: int = 2_000_000_000
    """Faces searched for, times faces in the gallery: what large galleries are bounded by."""
    searches: int = 40_000
    """Faces searched for: a few milliseconds each, however few there are to compare with."""
    within: int = 200_000
    """Faces held against the others of their subject."""
    strangers: int = PROBES
    """People who stand for strangers, and the least that is searched for."""

    def probes(self, faces: int) -> int:
        return max(self.strangers, min(self.searches, self.comparisons // max(faces, 1)))


@dataclass(frozen=True, slots=True)
class Task:
    """What to look for. `across` allows faces of different subjects to be compared."""

    limits: Limits
    across: bool
    budget: Budget
    before: Neighbours
    pace: Pace


def examine(engine: SearchEngine, view: View, task: Task) -> tuple[Report, Neighbours]:
    """The report of a view, and what the next examination can go on from."""
    start, at = time.perf_counter(), now()
    rows = Rows.of(view)
    chosen = of_people(rows, task.budget.within)
    near, searched = _near(engine, view, rows, task)
    inside = within(view, rows, chosen)
    task.pace()
    counts = np.unique(rows.subjects_N, return_counts=True)[1]
    report = Report(
        uid=token_hex(8),
        revision=view.revision,
        subjects=len(counts),
        faces=len(rows.ids_N),
        computed_at=at,
        took_ms=round((time.perf_counter() - start) * 1000),
        examined=Examined(len(near.probes_P), len(inside.faces_M), searched),
        limits=task.limits,
        single_face=int((counts == 1).sum()),
        found={
            **_pairs(near, inside, task),
            "outliers": _outliers(near, inside, task.limits.outlier),
            "weak": _weak(rows, task.limits.weak),
        },
        own=_own(near, rows, task) if task.across else None,
    )
    return report, near


def _near(engine: SearchEngine, view: View, rows: Rows, task: Task) -> tuple[Neighbours, int]:
    if not task.across or not len(rows.ids_N):
        return Neighbours.none(), 0
    most = task.budget.probes(len(rows.ids_N))
    first = leading(rows, most)
    probes = np.concatenate([first, further(rows, first, most - len(first))])
    return neighbours(engine, view, rows, probes, task.before, task.pace)


def _pairs(near: Neighbours, inside: Within, task: Task) -> dict[Kind, Found]:
    """Duplicates from the limit on, the nearest pairs below it."""
    if not task.across:
        return {"duplicates": Found(None), "nearest": Found(None)}
    probe, rank = np.nonzero(near.similarities_PK > NOBODY)
    similarity = near.similarities_PK[probe, rank]
    order = np.argsort(-similarity, kind="stable")
    probe, rank, similarity = probe[order], rank[order], similarity[order]
    own, other = near.own_P[probe], near.subjects_PK[probe, rank]
    named = np.stack([np.minimum(own, other), np.maximum(own, other)], axis=1)
    once = np.sort(np.unique(named, axis=0, return_index=True)[1])
    faces = np.stack([near.probes_P[probe], near.faces_PK[probe, rank]], axis=1)[once]
    who = np.stack([own, other], axis=1)[once]
    limit, similarity = task.limits.duplicate, similarity[once]
    above = 0 if limit is None else int((similarity >= limit).sum())
    misfit = _misfit(faces[:above], inside, task.limits.outlier)
    listed = {
        "duplicates": _listed(who[:above], faces[:above], similarity[:above], misfit),
        "nearest": _listed(who[above:], faces[above:], similarity[above:], None),
    }
    return {
        "duplicates": Found(None if limit is None else above, listed["duplicates"]),
        "nearest": Found(len(once) - above, listed["nearest"]),
    }


def _misfit(faces_L2: NDArray[np.int64], inside: Within, limit: float | None) -> NDArray[np.int64]:
    """Of each pair the face that is unlike its own subject's others; 0 where neither is."""
    fits = inside.of(faces_L2.ravel()).reshape(faces_L2.shape)
    worse = np.argmin(fits, axis=1) if len(faces_L2) else np.zeros(0, np.int64)
    each = np.arange(len(faces_L2))
    odd = fits[each, worse] < (-1 if limit is None else limit)
    return np.where(odd, faces_L2[each, worse], 0)


def _listed(
    who_L2: NDArray[np.int64],
    faces_L2: NDArray[np.int64],
    similarity_L: NDArray[np.float32],
    misfit_L: NDArray[np.int64] | None,
) -> tuple[Pair, ...]:
    return tuple(
        Pair(
            subject_a=int(who_L2[n, 0]),
            face_a=int(faces_L2[n, 0]),
            subject_b=int(who_L2[n, 1]),
            face_b=int(faces_L2[n, 1]),
            similarity=float(similarity_L[n]),
            misfiled=(int(misfit_L[n]) or None) if misfit_L is not None else None,
        )
        for n in range(min(len(who_L2), MOST_LISTED))
    )


def _outliers(near: Neighbours, inside: Within, limit: float | None) -> Found:
    if limit is None:
        return Found(None)
    odd = np.flatnonzero(inside.similarities_M < limit)
    odd = odd[np.argsort(inside.similarities_M[odd], kind="stable")]
    return Found(len(odd), tuple(_outlier(near, inside, int(n)) for n in odd[:MOST_LISTED]))


def _outlier(near: Neighbours, inside: Within, place: int) -> Outlier:
    face, similarity = int(inside.faces_M[place]), float(inside.similarities_M[place])
    nearer: tuple[int, float] | tuple[None, None] = (None, None)
    at = int(np.searchsorted(near.probes_P, face))
    if at < len(near.probes_P) and near.probes_P[at] == face:
        best = float(near.similarities_PK[at, 0])
        if best > similarity:
            nearer = int(near.subjects_PK[at, 0]), best
    count = int(inside.counts_M[place])
    return Outlier(int(inside.subjects_M[place]), face, similarity, count, *nearer)


def _weak(rows: Rows, limit: float | None) -> Found:
    if limit is None:
        return Found(None)
    order = np.lexsort((-rows.norms_N, rows.subjects_N))
    _, first, counts = np.unique(rows.subjects_N[order], return_index=True, return_counts=True)
    best = order[first]
    low = np.flatnonzero(rows.norms_N[best] < limit)
    low = low[np.argsort(rows.norms_N[best[low]], kind="stable")]
    worst = tuple(
        Weak(
            int(rows.subjects_N[best[n]]),
            int(rows.ids_N[best[n]]),
            float(rows.norms_N[best[n]]),
            int(counts[n]),
        )
        for n in low[:MOST_LISTED]
    )
    return Found(len(low), worst)


def _own(near: Neighbours, rows: Rows, task: Task) -> OwnRates | None:
    """What strangers meet: the drawn people's oldest faces, less those enrolled twice."""
    people = np.searchsorted(near.probes_P, rows.ids_N[leading(rows, task.budget.strangers)])
    top = near.similarities_PK[people, 0]
    same = task.limits.same_person
    aside = np.zeros(len(top), np.bool_) if same is None else top >= same
    try:
        return OwnRates.measured(
            top[~aside], len(rows.ids_N), len(np.unique(rows.subjects_N)), int(aside.sum())
        )
    except RateUnsupportedError:
        return None
