"""The score that counts: the cosine of the stored feature, in double precision.

Scans only choose candidates. What is answered is computed here, row by row in a fixed order of
additions, and rounded to float32: the same bits whatever the batch, the thread or the layout.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.gallery.index.scan import Candidates
from app.gallery.index.segment import View

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
    ids = np.zeros(len(candidates.row), np.int64)
    subjects = np.zeros(len(candidates.row), np.int64)
    similarities = np.zeros(len(candidates.row), np.float32)
    for number in np.unique(candidates.part):
        segment = view.parts[number].segment
        (here,) = np.nonzero(candidates.part == number)
        for start in range(0, len(here), CHUNK):
            chosen = here[start : start + CHUNK]
            rows = candidates.row[chosen]
            ids[chosen] = segment.ids[rows]
            subjects[chosen] = segment.subjects[rows]
            similarities[chosen] = cosines(
                segment.features[rows].astype(np.float64), segment.inverse_norms[rows], unit_D
            )
    order = np.lexsort((ids, -similarities))
    return Ranked(ids[order], subjects[order], similarities[order])


def cosines(
    rows_ND: NDArray[np.float64], inverse_norms_N: NDArray[np.float64], unit_D: NDArray[np.float64]
) -> NDArray[np.float32]:
    """float32 (N,), within ±1."""
    products = (rows_ND * unit_D).sum(axis=1) * inverse_norms_N
    rounded: NDArray[np.float32] = np.clip(products, -1, 1).astype(np.float32)
    return rounded
