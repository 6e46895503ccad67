"""Faces held against the other faces of their own subject."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.gallery.health.sample import Rows, unit_features
from app.gallery.index.segment import View

_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Within:
    """Of each face (M,) the cosine with the mean direction of its subject's other faces; faces
    ascending by id. Subjects with one face are not among them."""

    faces_M: NDArray[np.int64] = field(repr=False)
    subjects_M: NDArray[np.int64] = field(repr=False)
    similarities_M: NDArray[np.float32] = field(repr=False)
    counts_M: NDArray[np.int64] = field(repr=False)

    def of(self, faces: NDArray[np.int64]) -> NDArray[np.float32]:
        """The cosines of these faces, 1 for those that were not looked at."""
        if not len(self.faces_M):
            return np.ones(len(faces), np.float32)
        at = np.minimum(np.searchsorted(self.faces_M, faces), len(self.faces_M) - 1)
        known = self.faces_M[at] == faces
        return np.where(known, self.similarities_M[at], np.float32(1))


def within(view: View, rows: Rows, chosen: NDArray[np.intp]) -> Within:
    """`chosen` are places in `rows`, subject by subject, each subject whole."""
    subjects = rows.subjects_N[chosen]
    counts = np.unique(subjects, return_counts=True)[1]
    counted = np.repeat(counts, counts)
    several = counted > 1
    chosen, counted = chosen[several], counted[several]
    counts = counts[counts > 1]
    similarities = np.empty(len(chosen), np.float32)
    done = 0
    for group in _groups(counts):
        size = int(group.sum())
        here = chosen[done : done + size]
        similarities[done : done + size] = _leave_one_out(_unit(view, rows, here), group)
        done += size
    order = np.argsort(rows.ids_N[chosen])
    ordered = chosen[order]
    return Within(
        rows.ids_N[ordered], rows.subjects_N[ordered], similarities[order], counted[order]
    )


def _groups(counts: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Runs of whole subjects of some thousand faces."""
    block = (np.cumsum(counts) - 1) // _BLOCK
    return [counts[block == number] for number in np.unique(block)]


def _unit(view: View, rows: Rows, places: NDArray[np.intp]) -> NDArray[np.float64]:
    order = np.argsort(rows.ids_N[places])
    unit = unit_features(view, rows.ids_N[places[order]])
    back = np.empty_like(unit)
    back[order] = unit
    return back.astype(np.float64)


def _leave_one_out(unit_MD: NDArray[np.float64], counts: NDArray[np.intp]) -> NDArray[np.float64]:
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    others = np.repeat(np.add.reduceat(unit_MD, starts), counts, axis=0) - unit_MD
    lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-9)
    return np.asarray((unit_MD * others).sum(axis=1) / lengths)
