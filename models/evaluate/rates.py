"""Error rates and thresholds (ISO/IEC 19795-1). A pair matches when similarity ≥ threshold.

FMR: share of impostor comparisons that match. FNMR: share of genuine comparisons that do not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluate.comparisons import Scores

Rates = NDArray[np.float64]


class UnsupportedRateError(ValueError):
    """The data hold too few impostor comparisons for the rate asked for."""


def fmr(impostor: Scores, thresholds: float | Scores) -> Rates:
    """FMR at each threshold, of the same shape."""
    ascending = np.sort(impostor)
    return 1 - np.searchsorted(ascending, thresholds, side="left") / len(ascending)


def fnmr(genuine: Scores, thresholds: float | Scores) -> Rates:
    """FNMR at each threshold, of the same shape."""
    ascending = np.sort(genuine)
    return np.searchsorted(ascending, thresholds, side="left") / len(ascending)


def require_support(trials: int, rate: float, support: float = 3.0) -> None:
    """UnsupportedRateError unless `trials` ≥ `support` / `rate`.

    With no error among 3 / rate independent trials the rate is below `rate` with 95 % confidence
    ("rule of three", ISO/IEC 19795-1 annex B).
    """
    if not 0 < rate < 1:
        raise ValueError(f"a rate lies between 0 and 1, not {rate}")
    if trials < support / rate * (1 - 1e-9):
        raise UnsupportedRateError(
            f"a rate of {rate:g} needs {support / rate:.0f} impostor comparisons, not {trials}"
        )


def threshold_at_fmr(impostor: Scores, target: float, support: float = 3.0) -> float:
    """The smallest threshold whose FMR is at most `target`.

    It is a float32 value just above the first impostor that must not match, so that a service
    that compares in float32 decides the same. Raises UnsupportedRateError, see `require_support`.
    """
    require_support(len(impostor), target, support)
    allowed = int(np.floor(target * len(impostor) + 1e-9))
    first_refused = np.partition(impostor, len(impostor) - 1 - allowed)[-1 - allowed]
    return just_above(float(first_refused))


def just_above(score: float) -> float:
    """The float32 neighbour above a score; above it as float64 too."""
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))


@dataclass(frozen=True, slots=True)
class ErrorCurve:
    """FMR and FNMR at ascending thresholds: ROC is TAR over FMR, DET is FNMR over FMR."""

    threshold: Rates
    fmr: Rates
    fnmr: Rates

    @property
    def tar(self) -> Rates:
        """True accept rate, 1 − FNMR."""
        return 1 - self.fnmr


def error_curve(genuine: Scores, impostor: Scores) -> ErrorCurve:
    """The exact curve: one point per distinct score, and one past the highest."""
    scores = np.unique(np.concatenate([genuine, impostor]).astype(np.float64))
    threshold_T = np.append(scores, np.nextafter(scores[-1], np.inf))
    return ErrorCurve(threshold_T, fmr(impostor, threshold_T), fnmr(genuine, threshold_T))


def equal_error_rate(genuine: Scores, impostor: Scores) -> float:
    """Where FMR = FNMR, on the straight line between the two points around the crossing."""
    curve = error_curve(genuine, impostor)
    gap_T = curve.fmr - curve.fnmr
    # The gap falls from +1 at the lowest score to −1 past the highest.
    after = int(np.argmax(gap_T <= 0))
    before = after - 1
    share = gap_T[before] / (gap_T[before] - gap_T[after])
    return float(curve.fmr[before] + share * (curve.fmr[after] - curve.fmr[before]))


def auc(genuine: Scores, impostor: Scores) -> float:
    """Area under the ROC: the chance that a genuine pair outscores an impostor, ties a half."""
    ascending = np.sort(impostor)
    below = np.searchsorted(ascending, genuine, side="left")
    not_above = np.searchsorted(ascending, genuine, side="right")
    return float((below + not_above).mean() / (2 * len(ascending)))
