"""Score counts on a fine grid: thresholds and error rates from any number of comparisons.

The grid's edges are multiples of 2⁻¹⁵, so that scaling a float32 cosine to its cell is exact:
"score at or above an edge" is a statement about whole cells, and a threshold taken from an edge
has exactly the error rate that is written beside it.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export.calibrate.comparisons import Comparisons
from export.errors import CalibrationError, UnsupportedRateError
from export.rates import supports, trials_needed

_PER_UNIT = 1 << 15
CELLS = 2 * _PER_UNIT + 1
"""Cells of the grid over [−1, 1]; the last one holds scores of exactly 1."""


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """How many genuine and impostor scores lie at or above each edge; shape (CELLS + 1,) each."""

    genuine_above: NDArray[np.int64] = field(repr=False)
    impostor_above: NDArray[np.int64] = field(repr=False)

    @property
    def genuine(self) -> int:
        return int(self.genuine_above[0])

    @property
    def impostor(self) -> int:
        return int(self.impostor_above[0])

    def fmr(self, threshold: float) -> float:
        """Share of impostor scores at or above a threshold of the grid."""
        return int(self.impostor_above[edge_of(threshold)]) / self.impostor

    def fnmr(self, threshold: float) -> float:
        """Share of genuine scores under a threshold of the grid."""
        return 1 - int(self.genuine_above[edge_of(threshold)]) / self.genuine

    def threshold(self, fmr: float) -> float:
        """The lowest edge at which the measured FMR is at most `fmr`.

        Raises UnsupportedRateError where there are fewer than 3/FMR impostor comparisons, and
        CalibrationError where too many impostors score exactly 1 (the same photo under two names).
        """
        require(fmr, self.impostor)
        return self._edge_with_at_most(math.floor(fmr * self.impostor + 1e-9))

    def threshold_of_rank(self, count: int) -> float:
        """The lowest edge that at most `count` impostor scores reach."""
        return self._edge_with_at_most(count)

    def _edge_with_at_most(self, count: int) -> float:
        edge = int(np.searchsorted(-self.impostor_above, -count, side="left"))
        if edge >= CELLS:
            same = int(self.impostor_above[CELLS - 1])
            raise CalibrationError(f"{same} impostor pairs score 1: one photo under two names")
        return edge / _PER_UNIT - 1

    def eer(self) -> tuple[float, float]:
        """The equal error rate and its threshold: where FMR and FNMR cross on the grid."""
        fmr = self.impostor_above[:-1] / self.impostor
        fnmr = 1 - self.genuine_above[:-1] / self.genuine
        edge = int(np.argmin(np.abs(fmr - fnmr)))
        return float((fmr[edge] + fnmr[edge]) / 2), edge / _PER_UNIT - 1


def require(fmr: float, impostor: int) -> None:
    """Refuse a rate that this many impostor comparisons cannot show, and say what is missing."""
    if not supports(fmr, impostor):
        needed = trials_needed(fmr)
        raise UnsupportedRateError(
            f"FMR {fmr:g} needs at least {needed:,} impostor comparisons; there are {impostor:,}, "
            f"{needed - impostor:,} too few (all pairs of {_photos(needed):,} photos of different "
            "people give as many)"
        )


def _photos(pairs: int) -> int:
    return math.ceil((1 + math.sqrt(1 + 8 * pairs)) / 2)


def cells_of(scores_P: NDArray[np.float32]) -> NDArray[np.int64]:
    """The cell of each cosine; values beyond ±1 (rounding) go to the outermost cells."""
    scaled = np.floor(scores_P * np.float32(_PER_UNIT)).astype(np.int64)
    return np.asarray(np.clip(scaled + _PER_UNIT, 0, CELLS - 1), dtype=np.int64)


def edge_of(threshold: float) -> int:
    """The index of a threshold on the grid; one between two edges counts as the upper."""
    return min(max(math.ceil((threshold + 1) * _PER_UNIT - 1e-9), 0), CELLS)


def count(comparisons: Comparisons) -> ScoreCounts:
    """Score everything once. Raises CalibrationError without genuine or impostor comparisons."""
    genuine = np.zeros(CELLS, dtype=np.int64)
    every = np.zeros(CELLS, dtype=np.int64)
    subjects = comparisons.subjects_N
    for batch in comparisons.batches():
        cells = cells_of(batch.scores_P)
        every += np.bincount(cells, minlength=CELLS)
        same = subjects[batch.left_P] == subjects[batch.right_P]
        genuine += np.bincount(cells[same], minlength=CELLS)
    for name, total in (("genuine", genuine.sum()), ("impostor", (every - genuine).sum())):
        if total == 0:
            raise CalibrationError(f"no {name} comparison among the labelled photos")
    return ScoreCounts(_above(genuine), _above(every - genuine))


def _above(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.append(np.cumsum(cells[::-1])[::-1], 0)
