"""Rates beyond what the data show, by a named model of the impostor scores' tail.

Never used unless asked for by name, and always marked: an extrapolation is an assumption about
strangers nobody has compared. Peaks over a threshold u: the excesses over a high u follow a
generalised Pareto distribution (Pickands 1975), "gpd"; "exponential" is its case of shape 0. The
gpd follows the data and has wide intervals; the exponential is the cautious one, since cosines
have a lighter tail than it assumes, so the true FMR lies below the asked one.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.calibrate.subjects import Tail
from export.errors import UnsupportedRateError
from export.rates import RULE_OF_THREE, Z95, Interval

TailModel = Literal["gpd", "exponential"]

_SHARE = 1e-3
"""Part of the impostor scores that counts as tail."""
_LEAST, _MOST = 500, 200_000
"""Excesses wanted for a fit, and the most that are used."""
_REACH = 100
"""How many times rarer than the rarest measurable rate a model may speak of."""
_GROUPS = 20


@dataclass(frozen=True, slots=True)
class TailFit:
    """A fitted tail: P(score ≥ u + y) = share · (1 + shape · y / scale)^(−1 / shape)."""

    model: TailModel
    start: float
    share: float
    scale: float
    shape: float

    def fmr(self, threshold: float) -> float:
        """The modelled FMR at a threshold above the tail's start."""
        excess = (threshold - self.start) / self.scale
        if self.shape == 0:
            return float(self.share * np.exp(-excess))
        base = max(0.0, 1 + self.shape * excess)
        return float(self.share * base ** (-1 / self.shape)) if base else 0.0

    def threshold(self, fmr: float) -> float:
        """The threshold at which the modelled FMR is `fmr`."""
        ratio = fmr / self.share
        if self.shape == 0:
            return float(self.start - self.scale * np.log(ratio))
        return float(self.start + self.scale / self.shape * (ratio**-self.shape - 1))


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """A modelled operating point; the interval is the threshold's own uncertainty seen as FMR."""

    model: TailModel
    threshold: float
    fmr_interval: Interval


def extrapolate(
    tail: Tail, subjects_N: NDArray[np.int32], fmr: float, model: TailModel
) -> Extrapolation:
    """A threshold for a rate too rare to be measured.

    The threshold's standard error comes from refitting with each of 20 groups of subjects left
    out. Raises UnsupportedRateError with fewer than 500 scores in the tail, or for a rate more
    than 100 times rarer than what can be measured.
    """
    _require(tail.total, fmr)
    fitted = fit(tail, model)
    threshold = fitted.threshold(fmr)
    groups_N = subjects_N % _GROUPS
    deleted = np.array(
        [fit(_without(tail, groups_N, group), model).threshold(fmr) for group in range(_GROUPS)]
    )
    spread = np.sqrt((_GROUPS - 1) / _GROUPS * np.square(deleted - deleted.mean()).sum())
    low, high = fitted.fmr(threshold + Z95 * spread), fitted.fmr(threshold - Z95 * spread)
    return Extrapolation(model, min(threshold, 1.0), Interval(low, min(high, 1.0)))


def _require(impostor: int, fmr: float) -> None:
    if impostor * _SHARE < _LEAST:
        raise UnsupportedRateError(
            f"a tail model needs {_LEAST / _SHARE:,.0f} impostor comparisons, not {impostor:,}"
        )
    rarest = RULE_OF_THREE / impostor
    if fmr < rarest / _REACH:
        raise UnsupportedRateError(
            f"FMR {fmr:g} is more than {_REACH} times rarer than the {rarest:.2g} that these "
            "comparisons can show: no tail model is believed that far"
        )


def fit(tail: Tail, model: TailModel) -> TailFit:
    """Fit by probability-weighted moments (Hosking and Wallis, Technometrics 1987)."""
    size = min(int(tail.total * _SHARE), _MOST, len(tail.scores_K) - 1)
    start = float(tail.scores_K[size])
    excess = tail.scores_K[:size][::-1].astype(np.float64) - start
    mean = float(excess.mean())
    flat = TailFit(model, start, size / tail.total, mean, 0.0)
    if model == "exponential":
        return flat
    weights = 1 - (np.arange(1, size + 1) - 0.35) / size
    weighted = float((weights * excess).mean())
    shape = 2 - mean / (mean - 2 * weighted)
    return replace(flat, scale=2 * mean * weighted / (mean - 2 * weighted), shape=shape)


def _without(tail: Tail, groups_N: NDArray[np.int32], group: int) -> Tail:
    kept = (groups_N[tail.left_K] != group) & (groups_N[tail.right_K] != group)
    total = round(tail.total * (1 - 1 / _GROUPS) ** 2)
    return Tail(tail.scores_K[kept], tail.left_K[kept], tail.right_K[kept], total)
