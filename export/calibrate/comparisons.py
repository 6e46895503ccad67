"""Which photos are compared with which, scored in batches so that memory stays bounded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_TILE = 1024
"""Rows and columns of one tile of the score matrix: about 4 MiB of scores at a time."""


@dataclass(frozen=True, slots=True)
class Batch:
    """P scored comparisons: cosine (float32) and the photos' subjects and indices."""

    scores_P: NDArray[np.float32] = field(repr=False)
    left_P: NDArray[np.intp] = field(repr=False)
    right_P: NDArray[np.intp] = field(repr=False)


class Comparisons(Protocol):
    """A fixed set of comparisons among photos whose subjects are known."""

    @property
    def subjects_N(self) -> NDArray[np.int32]:
        """The subject code of each photo."""
        ...

    def batches(self) -> Iterator[Batch]:
        """All comparisons, each once, in a fixed order."""
        ...

    def within(self, rows: NDArray[np.intp]) -> "Comparisons":
        """Only the comparisons whose two photos are both among `rows`."""
        ...


@dataclass(frozen=True, slots=True)
class AllPairs:
    """Every photo against every other: the cheapest source of millions of impostor scores."""

    unit_ND: NDArray[np.float32] = field(repr=False)
    subjects_N: NDArray[np.int32] = field(repr=False)

    def batches(self) -> Iterator[Batch]:
        count = len(self.unit_ND)
        starts = range(0, count, _TILE)
        for top in starts:
            for left in range(top, count, _TILE):
                yield self._tile(top, left)

    def within(self, rows: NDArray[np.intp]) -> "AllPairs":
        return AllPairs(self.unit_ND[rows], self.subjects_N[rows])

    def _tile(self, top: int, left: int) -> Batch:
        upper, lower = self.unit_ND[top : top + _TILE], self.unit_ND[left : left + _TILE]
        scores = upper @ lower.T
        if top == left:
            rows, columns = np.triu_indices(len(upper), k=1)
            return Batch(scores[rows, columns], rows + top, columns + left)
        rows, columns = np.divmod(np.arange(scores.size), len(lower))
        return Batch(scores.ravel(), rows + top, columns + left)


@dataclass(frozen=True, slots=True)
class ListedPairs:
    """The pairs of a list, as indices of photos; shape (P,) each."""

    unit_ND: NDArray[np.float32] = field(repr=False)
    subjects_N: NDArray[np.int32] = field(repr=False)
    left_P: NDArray[np.intp] = field(repr=False)
    right_P: NDArray[np.intp] = field(repr=False)

    def batches(self) -> Iterator[Batch]:
        step = _TILE * 64
        for start in range(0, len(self.left_P), step):
            left = self.left_P[start : start + step]
            right = self.right_P[start : start + step]
            scores = np.einsum("pd,pd->p", self.unit_ND[left], self.unit_ND[right])
            yield Batch(scores, left, right)

    def within(self, rows: NDArray[np.intp]) -> "ListedPairs":
        inside = np.zeros(len(self.subjects_N), dtype=bool)
        inside[rows] = True
        both = inside[self.left_P] & inside[self.right_P]
        return ListedPairs(self.unit_ND, self.subjects_N, self.left_P[both], self.right_P[both])


def genuine_pairs(comparisons: Comparisons) -> Batch:
    """All comparisons of a person with themselves."""
    subjects = comparisons.subjects_N
    kept = [
        pick(batch, subjects[batch.left_P] == subjects[batch.right_P])
        for batch in comparisons.batches()
    ]
    return join(kept)


def pick(batch: Batch, which: NDArray[np.bool_] | NDArray[np.intp]) -> Batch:
    """Some comparisons of a batch, by mask or by index."""
    return Batch(batch.scores_P[which], batch.left_P[which], batch.right_P[which])


def join(batches: Sequence[Batch]) -> Batch:
    """Batches as one, in their order."""
    return Batch(
        np.concatenate([batch.scores_P for batch in batches]),
        np.concatenate([batch.left_P for batch in batches]),
        np.concatenate([batch.right_P for batch in batches]),
    )
