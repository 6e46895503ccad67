"""Error versus discard: does the error fall as the worst samples leave (ISO/IEC 29794-1)?

A pair's quality is the lower of its two samples'. Pairs of one quality leave together, since a
quality threshold cannot separate them. The discard fraction counts the comparisons whose error is
drawn, so here the mated ones.

Shapes: P pairs, K points of the curve.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.evaluate.comparisons import Comparisons, Labels, Scores
from models.evaluate.rates import UnsupportedRateError, threshold_at_fmr

SUPPORT = 10.0
"""Impostor comparisons wanted per expected false match: a threshold that is used for the whole
curve must not hang on three of them."""

PER_STEP_FRACTIONS = np.arange(0, 1, 0.05)
"""Where the per-step variant is evaluated, as in the code of MagFace and CR-FIQA."""


@dataclass(frozen=True, slots=True)
class Area:
    """Area under the curve up to a discard fraction; lower is better.

    `ideal` is the area under max(0, FNMR(0) − r), the NIST "perfect" line. `normalised` divides
    by FNMR(0) · limit: about 1 for a quality that knows nothing; NaN where FNMR(0) is 0.
    """

    limit: float
    raw: float
    ideal: float
    normalised: float

    @property
    def above_ideal(self) -> float:
        """Raw minus ideal."""
        return self.raw - self.ideal


@dataclass(frozen=True, slots=True)
class DiscardCurve:
    """FNMR among the mated pairs left after each discard; a step function.

    `fnmr_K[k]` holds for discard fractions from `discarded_K[k]` to the next. `threshold` is
    one and the same value in the fixed variant.
    """

    discarded: NDArray[np.float64]
    fnmr: NDArray[np.float64]
    threshold: NDArray[np.float64]

    def at(self, fraction: float) -> float:
        """FNMR when at most `fraction` of the mated pairs is discarded."""
        return float(self.fnmr[np.searchsorted(self.discarded, fraction, side="right") - 1])

    def area(self, limit: float = 0.3) -> Area:
        """The partial area; ValueError where the per-step curve ends before `limit`."""
        if np.isnan(self.fnmr[self.discarded < limit]).any():
            raise UnsupportedRateError(f"the curve ends before a discard fraction of {limit:g}")
        edges = np.append(self.discarded[self.discarded < limit], limit)
        raw = float(np.diff(edges) @ self.fnmr[: len(edges) - 1])
        start = float(self.fnmr[0])
        reach = min(start, limit)
        ideal = start * reach - reach**2 / 2
        return Area(limit, raw, ideal, raw / (start * limit) if start else float("nan"))


def pair_quality(quality_N: Scores, pair_P2: Labels) -> Scores:
    """The lower quality of each pair's two samples."""
    return quality_N[pair_P2].min(axis=1)


def error_versus_discard(
    comparisons: Comparisons,
    quality_P: Scores,
    fmr: float = 1e-3,
    threshold: Literal["fixed", "per-step"] = "fixed",
    support: float = SUPPORT,
) -> DiscardCurve:
    """The curve at the threshold for `fmr`.

    "fixed" sets the threshold once, on all pairs, as ISO/IEC 29794-1 does. "per-step" sets it
    again on the pairs that are left, every 5 % (MagFace, CR-FIQA): its curve mixes the quality's
    effect on genuine and impostor pairs, and is NaN from where too few impostors are left.
    Raises UnsupportedRateError with fewer than `support` / `fmr` impostor comparisons.
    """
    if not np.isfinite(quality_P).all():
        raise ValueError("a quality is not finite")
    whole = threshold_at_fmr(comparisons.impostor, fmr, support)
    if threshold == "fixed":
        return discard_curve(comparisons.genuine, quality_P[comparisons.mated], whole)
    return _per_step(comparisons, quality_P, fmr, support)


def discard_curve(genuine: Scores, quality: Scores, threshold: float) -> DiscardCurve:
    """The curve of mated comparisons at a threshold set elsewhere; `quality` is each pair's."""
    order = np.argsort(quality, kind="stable")
    error = genuine[order] < threshold
    left = np.cumsum(error[::-1])[::-1]
    cut_K = np.concatenate([[0], np.flatnonzero(np.diff(quality[order])) + 1])
    fnmr_K = left[cut_K] / (len(error) - cut_K)
    return DiscardCurve(cut_K / len(error), fnmr_K, np.full(len(cut_K), threshold))


def _per_step(
    comparisons: Comparisons, quality_P: Scores, fmr: float, support: float
) -> DiscardCurve:
    ascending = np.sort(quality_P[comparisons.mated])
    # The pair at the cut stays, so ties with it stay too; at the first step everything stays.
    cuts = ascending[(PER_STEP_FRACTIONS * len(ascending)).astype(int)].astype(np.float64)
    cuts[cuts == ascending[0]] = -np.inf
    steps = [_step(comparisons, quality_P >= cut, fmr, support) for cut in np.unique(cuts)]
    discarded_K, fnmr_K, threshold_K = np.array(steps).T
    return DiscardCurve(discarded_K, fnmr_K, threshold_K)


def _step(
    comparisons: Comparisons, kept_P: NDArray[np.bool_], fmr: float, support: float
) -> tuple[float, float, float]:
    genuine = comparisons.similarity[kept_P & comparisons.mated]
    total = int(comparisons.mated.sum())
    discarded = (total - len(genuine)) / total
    try:
        impostor = comparisons.similarity[kept_P & ~comparisons.mated]
        threshold = threshold_at_fmr(impostor, fmr, support)
    except UnsupportedRateError:
        return discarded, float("nan"), float("nan")
    return discarded, float((genuine < threshold).mean()), threshold
