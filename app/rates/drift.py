"""Has the world moved since calibration? Live scores and norms against a baseline's histogram."""

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

_BINS = 10
_LEAST = 200
"""Live values below which nothing is said."""
_SIGMAS = 5.0
_SHIFT = 0.1
"""Population stability index that people act on; below it a difference is of no consequence."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Ten equally likely bins of a quantity as it was: nine inner edges, and how many made them."""

    edges: NDArray[np.float64] = field(repr=False)
    count: int


@dataclass(frozen=True, slots=True)
class Drift:
    """The population stability index of `live` values, and what chance alone would give."""

    live: int
    index: float
    expected: float
    drifted: bool


def baseline(values: NDArray[np.floating]) -> Baseline:
    """The deciles of stranger top scores, or of norms, at calibration."""
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    return Baseline(np.quantile(values.astype(np.float64), inner), len(values))


class Live:
    """Counts of live values in a baseline's bins. Not for several threads at once."""

    def __init__(self, before: Baseline) -> None:
        self._before = before
        self._counts = np.zeros(_BINS, dtype=np.int64)

    def add(self, value: float) -> None:
        """Count one live value: the top-1 score of a search that found nobody, or a norm."""
        self._counts[np.searchsorted(self._before.edges, value, side="right")] += 1

    def drift(self) -> Drift:
        """How far live values are from the baseline.

        PSI = Σ (p − q) · ln(p / q) over the bins. Without any drift it is about χ² with nine
        degrees of freedom, times 1/n + 1/m; `drifted` needs it to be five standard deviations
        above that, and large enough to matter (0.1).
        """
        live = int(self._counts.sum())
        if live < _LEAST:
            return Drift(live, 0.0, 0.0, drifted=False)
        share = (self._counts + 0.5) / (live + 0.5 * _BINS)
        index = float(((share - 1 / _BINS) * np.log(share * _BINS)).sum())
        noise = 1 / live + 1 / self._before.count
        expected = (_BINS - 1) * noise
        limit = expected + _SIGMAS * sqrt(2 * (_BINS - 1)) * noise
        return Drift(live, index, expected, drifted=index > max(limit, _SHIFT))
