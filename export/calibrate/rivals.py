"""Two packages on the same comparisons."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.calibrate.comparisons import Comparisons, genuine_pairs
from export.calibrate.counts import count
from export.errors import CalibrationError, UnsupportedRateError
from export.rates import Interval

_REPLICATES = 1000


@dataclass(frozen=True, slots=True)
class SideBySide:
    """FNMR of A and B at one FMR, each at its own threshold, and the interval of A − B."""

    fmr: float
    thresholds: tuple[float, float]
    fnmr: tuple[float, float]
    difference: Interval


def side_by_side(
    a: Comparisons, b: Comparisons, targets: tuple[float, ...], seed: int = 0
) -> list[SideBySide]:
    """FNMR at each FMR that the comparisons support.

    `a` and `b` hold the same comparisons in the same order, scored by different models. The
    difference's 95% interval resamples subjects, both models together, with thresholds held.
    """
    counts = count(a), count(b)
    genuine = genuine_pairs(a), genuine_pairs(b)
    if not np.array_equal(genuine[0].left_P, genuine[1].left_P) or not np.array_equal(
        genuine[0].right_P, genuine[1].right_P
    ):
        raise CalibrationError("the two packages were not given the same comparisons")
    people_P = np.unique(a.subjects_N[genuine[0].left_P], return_inverse=True)[1]
    random = np.random.default_rng(seed)
    rows = []
    for fmr in targets:
        try:
            thresholds = counts[0].threshold(fmr), counts[1].threshold(fmr)
        except UnsupportedRateError:
            break
        missed_a, missed_b = (
            side.scores_P < threshold for side, threshold in zip(genuine, thresholds, strict=True)
        )
        rates = float(missed_a.mean()), float(missed_b.mean())
        difference = _difference(missed_a, missed_b, people_P, random)
        rows.append(SideBySide(fmr, thresholds, rates, difference))
    return rows


def _difference(
    missed_a: NDArray[np.bool_],
    missed_b: NDArray[np.bool_],
    people_P: NDArray[np.intp],
    random: np.random.Generator,
) -> Interval:
    more_S = np.bincount(people_P, missed_a.astype(float) - missed_b.astype(float))
    trials_S = np.bincount(people_P)
    drawn = random.integers(len(trials_S), size=(_REPLICATES, len(trials_S)))
    differences = more_S[drawn].sum(axis=1) / trials_S[drawn].sum(axis=1)
    return Interval(*(float(value) for value in np.quantile(differences, [0.025, 0.975])))
