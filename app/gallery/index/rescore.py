"""The score that counts: the cosine of the stored feature, in double precision.

Scans only choose candidates. What is answered is computed here, row by row in a fixed order of
additions, and rounded to float32: the same bits whatever the batch, the thread or the layout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.gallery.index.scan import Candidates
from app.gallery.index.segment import Segment, View

CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Ranked:
    """Faces by similarity, best first; equals by face id."""

    face_ids: NDArray[np.int64]
    subject_ids: NDArray[np.int64]
    similarities: NDArray[np.float32]

    def distinct(self, by_subject: bool) -> "Ranked":
        """Each subject's best face only, where asked for."""
        if not by_subject:
            return self
        first = np.sort(np.unique(self.subject_ids, return_index=True)[1])
        return self.take(first)

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Ranked":
        return Ranked(self.face_ids[which], self.subject_ids[which], self.similarities[which])


def rank(view: View, unit_D: NDArray[np.float64], candidates: Candidates) -> Ranked:
    """Exact similarities of the candidates, in order."""
    if not len(candidates.row):
        return Ranked(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    sorted_ = candidates.take(np.argsort(candidates.part, kind="stable"))
    numbers, begins = np.unique(sorted_.part, return_index=True)
    ends = [*begins[1:], len(sorted_.row)]
    runs = [
        (view.parts[number].segment, sorted_.row[begin:end])
        for number, begin, end in zip(numbers, begins, ends, strict=True)
    ]
    ids = np.concatenate([segment.ids[rows] for segment, rows in runs])
    subjects = np.concatenate([segment.subjects[rows] for segment, rows in runs])
    similarities = _similarities(runs, unit_D)
    order = np.lexsort((ids, -similarities))
    return Ranked(ids[order], subjects[order], similarities[order])


def _similarities(
    runs: Sequence[tuple[Segment, NDArray[np.int64]]], unit_D: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Those of all runs together where they are few; a chunk at a time where they are many."""
    found: list[NDArray[np.float32]] = []
    pending: list[NDArray[Any]] = []
    inverse: list[NDArray[np.float64]] = []
    for segment, rows in runs:
        for start in range(0, len(rows), CHUNK):
            chosen = rows[start : start + CHUNK]
            pending.append(segment.features[chosen])
            inverse.append(segment.inverse_norms[chosen])
            if sum(map(len, inverse)) >= CHUNK:
                found.append(cosines(np.concatenate(pending), np.concatenate(inverse), unit_D))
                pending, inverse = [], []
    if pending:
        found.append(cosines(np.concatenate(pending), np.concatenate(inverse), unit_D))
    return np.concatenate(found)


def cosines(
    rows_ND: NDArray[Any], inverse_norms_N: NDArray[np.float64], unit_D: NDArray[np.float64]
) -> NDArray[np.float32]:
    """float32 (N,), within ±1."""
    products = (rows_ND * unit_D).sum(axis=1) * inverse_norms_N
    rounded: NDArray[np.float32] = np.clip(products, -1, 1).astype(np.float32)
    return rounded
