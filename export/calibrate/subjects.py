"""How far error rates may be from the truth, with people (not pairs) as the independent units.

Comparisons that share a person are dependent: somebody who resembles many makes many errors at
once. Counted as independent, millions of pairs would give intervals far too narrow.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export.calibrate.comparisons import Comparisons
from export.rates import Interval, wilson

_TAIL = 200_000
"""Impostor comparisons kept one by one, the highest scoring, for bootstrap and tail models."""


@dataclass(frozen=True, slots=True)
class SubjectCounts:
    """Errors by subject (S) at each of T thresholds, ascending.

    An impostor comparison counts for both its subjects; a genuine one once.
    """

    thresholds_T: NDArray[np.float64] = field(repr=False)
    impostor_S: NDArray[np.int64] = field(repr=False)
    false_matches_ST: NDArray[np.int64] = field(repr=False)
    genuine_S: NDArray[np.int64] = field(repr=False)
    misses_ST: NDArray[np.int64] = field(repr=False)

    def fmr_interval(self, column: int) -> Interval:
        """95% interval of the FMR at one threshold; see `dyadic_effective_trials`."""
        errors_S = self.false_matches_ST[:, column]
        trials = int(self.impostor_S.sum()) // 2
        rate = int(errors_S.sum()) / 2 / trials
        return wilson(rate, dyadic_effective_trials(errors_S, self.impostor_S))

    def fnmr_interval(self, column: int) -> Interval:
        """95% interval of the FNMR at one threshold; see `clustered_effective_trials`."""
        errors_S = self.misses_ST[:, column]
        rate = int(errors_S.sum()) / int(self.genuine_S.sum())
        return wilson(rate, clustered_effective_trials(errors_S, self.genuine_S))


def dyadic_effective_trials(errors_S: NDArray[np.int64], trials_S: NDArray[np.int64]) -> float:
    """How many independent comparisons the impostor comparisons are worth; at most their number.

    From the variance of a mean over pairs of subjects when pairs that share a subject are
    dependent (Aronow, Samii and Assenova, Political Analysis 2015): the squared sums of residuals
    by subject, less what they count twice. Comparisons between the same two subjects are left in,
    which can only widen. Wilson's interval at the effective number keeps its coverage where
    errors are few (as Fogliato, Patil and Perona, IJCV 2024, find for 1:1 matching).
    """
    trials = float(trials_S.sum()) / 2
    rate = float(errors_S.sum()) / 2 / trials
    spread = rate * (1 - rate)
    if spread == 0:
        return trials
    residuals_S = errors_S - rate * trials_S
    shared = float(np.square(residuals_S).sum()) - trials * spread
    return trials * spread / max(shared / trials, spread)


def clustered_effective_trials(errors_S: NDArray[np.int64], trials_S: NDArray[np.int64]) -> float:
    """How many independent comparisons the genuine comparisons are worth, subjects as clusters."""
    trials = float(trials_S.sum())
    rate = float(errors_S.sum()) / trials
    spread = rate * (1 - rate)
    clusters = int(np.count_nonzero(trials_S))
    if spread == 0 or clusters == 1:
        return float(clusters)
    residuals_S = errors_S - rate * trials_S
    variance = float(np.square(residuals_S).sum()) * clusters / (clusters - 1) / trials
    return trials * spread / max(variance, spread)


@dataclass(frozen=True, slots=True)
class Tail:
    """The highest impostor scores, descending, with the two subjects of each; `total` is of all."""

    scores_K: NDArray[np.float32] = field(repr=False)
    left_K: NDArray[np.int32] = field(repr=False)
    right_K: NDArray[np.int32] = field(repr=False)
    total: int


def by_subject(
    comparisons: Comparisons, thresholds: NDArray[np.float64]
) -> tuple[SubjectCounts, "Tail"]:
    """Score everything again, counting errors by subject at ascending thresholds."""
    collector = _Collector(comparisons.subjects_N, np.asarray(thresholds, dtype=np.float32))
    for batch in comparisons.batches():
        left = comparisons.subjects_N[batch.left_P]
        right = comparisons.subjects_N[batch.right_P]
        same = left == right
        collector.genuine(batch.scores_P[same], left[same])
        collector.impostor(batch.scores_P[~same], left[~same], right[~same])
    return collector.counts(), collector.tail()


class _Collector:
    def __init__(self, subjects_N: NDArray[np.int32], thresholds_T: NDArray[np.float32]) -> None:
        self._subjects = int(subjects_N.max()) + 1
        self._thresholds = thresholds_T
        shape = (self._subjects, len(thresholds_T) + 1)
        self._false_matches = np.zeros(shape, dtype=np.int64)
        self._reached = np.zeros(shape, dtype=np.int64)
        self._impostor = np.zeros(self._subjects, dtype=np.int64)
        self._genuine = np.zeros(self._subjects, dtype=np.int64)
        self._top: list[tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]] = []
        self._floor = np.float32(-2)

    def genuine(self, scores: NDArray[np.float32], subjects: NDArray[np.int32]) -> None:
        self._genuine += np.bincount(subjects, minlength=self._subjects)
        self._reached += self._levels(scores, subjects)

    def impostor(
        self,
        scores: NDArray[np.float32],
        left: NDArray[np.int32],
        right: NDArray[np.int32],
    ) -> None:
        for side in (left, right):
            self._impostor += np.bincount(side, minlength=self._subjects)
        high = scores >= min(self._thresholds[0], self._floor)
        scores, left, right = scores[high], left[high], right[high]
        for side in (left, right):
            self._false_matches += self._levels(scores, side)
        kept = scores >= self._floor
        self._top.append((scores[kept], left[kept], right[kept]))
        if sum(len(part[0]) for part in self._top) > 2 * _TAIL:
            self._prune()

    def counts(self) -> SubjectCounts:
        reached_ST = _at_or_above(self._reached)
        return SubjectCounts(
            thresholds_T=self._thresholds.astype(np.float64),
            impostor_S=self._impostor,
            false_matches_ST=_at_or_above(self._false_matches),
            genuine_S=self._genuine,
            misses_ST=self._genuine[:, None] - reached_ST,
        )

    def tail(self) -> Tail:
        self._prune()
        scores, left, right = self._top[0]
        return Tail(scores, left, right, int(self._impostor.sum()) // 2)

    def _levels(
        self, scores: NDArray[np.float32], subjects: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        """Scores counted by subject and by how many thresholds they reach."""
        columns = len(self._thresholds) + 1
        levels = np.searchsorted(self._thresholds, scores, side="right")
        flat = np.bincount(
            subjects.astype(np.int64) * columns + levels, minlength=self._subjects * columns
        )
        return flat.reshape(self._subjects, columns)

    def _prune(self) -> None:
        scores, left, right = (np.concatenate(parts) for parts in zip(*self._top, strict=True))
        order = np.argsort(-scores, kind="stable")[:_TAIL]
        self._top = [(scores[order], left[order], right[order])]
        if len(order) == _TAIL:
            self._floor = scores[order[-1]]


def _at_or_above(levels_SK: NDArray[np.int64]) -> NDArray[np.int64]:
    """From "reaches exactly k thresholds" to "reaches threshold t", dropping those of none."""
    return np.cumsum(levels_SK[:, ::-1], axis=1)[:, ::-1][:, 1:]
