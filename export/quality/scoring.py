"""Quality-aware similarity in QMagFace's form, fitted on half of the people, judged on the rest.

ŝ = s + min(0, slope · s + offset) · min(q, q′) (Terhörst et al., WACV 2023), with q in [0, 1]: a
low similarity between two good photos counts as more of a difference than between poor ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export import tables as schema
from export.calibrate.comparisons import AllPairs, Batch, Comparisons, genuine_pairs
from export.calibrate.labels import LabelledFeatures
from export.calibrate.subjects import Tail, by_subject
from export.errors import CalibrationError

_SLOPES = np.linspace(0, 2, 11)
_CROSSINGS = np.linspace(0.1, 0.9, 17)
"""Similarities above which nothing is subtracted: offset = −slope · crossing."""
_REPLICATES = 1000


def aware(
    scores_P: NDArray[np.float32], quality_P: NDArray[np.float32], slope: float, offset: float
) -> NDArray[np.float32]:
    """Quality-aware similarities; `quality_P` is the lower of each pair's two, in [0, 1]."""
    return np.asarray(scores_P + np.minimum(0, slope * scores_P + offset) * quality_P, np.float32)


@dataclass(frozen=True, slots=True)
class AwarePairs:
    """Comparisons whose scores take quality into account; `quality_N` in [0, 1]."""

    plain: Comparisons
    quality_N: NDArray[np.float32] = field(repr=False)
    slope: float
    offset: float

    @property
    def subjects_N(self) -> NDArray[np.int32]:
        return self.plain.subjects_N

    def batches(self) -> Iterator[Batch]:
        for batch in self.plain.batches():
            quality_P = np.minimum(self.quality_N[batch.left_P], self.quality_N[batch.right_P])
            scores = aware(batch.scores_P, quality_P, self.slope, self.offset)
            yield Batch(scores, batch.left_P, batch.right_P)

    def within(self, rows: NDArray[np.intp]) -> "AwarePairs":
        return AwarePairs(self.plain.within(rows), self.quality_N, self.slope, self.offset)


@dataclass(frozen=True, slots=True)
class _Half:
    """One half of the people: genuine scores and highest impostor scores, with pair qualities."""

    genuine: Batch
    genuine_quality: NDArray[np.float32]
    tail: Tail
    tail_quality: NDArray[np.float32]
    subjects_N: NDArray[np.int32]

    def misses(self, fmr: float, slope: float, offset: float) -> NDArray[np.bool_]:
        """Which genuine comparisons are missed at the threshold for `fmr`; exact while the
        allowed false matches lie among the highest plain scores, since scores only fall."""
        impostor = aware(self.tail.scores_K, self.tail_quality, slope, offset)
        allowed = int(fmr * self.tail.total)
        threshold = np.partition(impostor, -allowed - 1)[-allowed - 1]
        genuine = aware(self.genuine.scores_P, self.genuine_quality, slope, offset)
        return np.asarray(genuine <= threshold)


def fit_scoring(
    features: LabelledFeatures, quality_N: NDArray[np.float32], fmr: float, seed: int = 0
) -> schema.PairScoring:
    """Fit slope and offset at `fmr` on the even subjects, measure the gain on the odd ones.

    The gain's interval resamples the held-out subjects with the thresholds held; `kept` says that
    it lies above 0. Raises CalibrationError with fewer than ten expected false matches in a half.
    """
    fitting, judging = (_half(features, quality_N, side) for side in (0, 1))
    if fmr * min(fitting.tail.total, judging.tail.total) < 10:
        raise CalibrationError(f"too few comparisons to fit quality-aware scoring at FMR {fmr:g}")
    candidates = [
        (float(slope), float(-slope * crossing)) for slope in _SLOPES for crossing in _CROSSINGS
    ]
    slope, offset = min(candidates, key=lambda pair: int(fitting.misses(fmr, *pair).sum()))
    plain, better = judging.misses(fmr, 0.0, 0.0), judging.misses(fmr, slope, offset)
    low, high = _gain_interval(judging, plain, better, np.random.default_rng(seed))
    return schema.PairScoring(
        slope=slope,
        offset=offset,
        fmr=fmr,
        fnmr_plain=float(plain.mean()),
        fnmr_aware=float(better.mean()),
        gain_interval=(low, high),
        kept=low > 0,
    )


def _half(features: LabelledFeatures, quality_N: NDArray[np.float32], side: int) -> _Half:
    rows = np.flatnonzero(features.subjects_N % 2 == side)
    pairs = AllPairs(features.unit(), features.subjects_N).within(rows)
    genuine = genuine_pairs(pairs)
    _, tail = by_subject(pairs, np.array([1.0]))
    quality = quality_N[rows]
    return _Half(
        genuine=genuine,
        genuine_quality=np.minimum(quality[genuine.left_P], quality[genuine.right_P]),
        tail=tail,
        tail_quality=np.minimum(quality[tail.left_K], quality[tail.right_K]),
        subjects_N=features.subjects_N[rows],
    )


def _gain_interval(
    half: _Half,
    plain: NDArray[np.bool_],
    better: NDArray[np.bool_],
    random: np.random.Generator,
) -> tuple[float, float]:
    people = np.unique(half.subjects_N[half.genuine.left_P], return_inverse=True)[1]
    gained_S = np.bincount(people, plain.astype(float) - better.astype(float))
    trials_S = np.bincount(people)
    drawn = random.integers(len(trials_S), size=(_REPLICATES, len(trials_S)))
    gains = gained_S[drawn].sum(axis=1) / trials_S[drawn].sum(axis=1)
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)
