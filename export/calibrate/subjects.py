"""How far error rates may be from the truth, with people (not pairs) as the independent units.

Comparisons that share a person are dependent: somebody who resembles many makes many errors at
once. Counted as independent, millions of pairs would give intervals far too narrow.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export.calibrate.comparisons import Batch, Comparisons, join, pick
from export.rates import Interval, wilson

_TAIL = 200_000
"""Impostor comparisons kept one by one, the highest scoring: for tail models and for looking at."""


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

    def fmr(self, column: int) -> float:
        """Share of impostor comparisons at or above one threshold."""
        return int(self.false_matches_ST[:, column].sum()) / int(self.impostor_S.sum())

    def fnmr(self, column: int) -> float:
        """Share of genuine comparisons under one threshold."""
        return int(self.misses_ST[:, column].sum()) / int(self.genuine_S.sum())

    def fmr_interval(self, column: int) -> Interval:
        """95% interval of the FMR at one threshold; see `dyadic_effective_trials`."""
        trials = dyadic_effective_trials(self.false_matches_ST[:, column], self.impostor_S)
        return wilson(self.fmr(column), trials)

    def fnmr_interval(self, column: int) -> Interval:
        """95% interval of the FNMR at one threshold; see `clustered_effective_trials`."""
        trials = clustered_effective_trials(self.misses_ST[:, column], self.genuine_S)
        return wilson(self.fnmr(column), trials)


def dyadic_effective_trials(errors_S: NDArray[np.int64], trials_S: NDArray[np.int64]) -> float:
    """How many independent comparisons the impostor comparisons are worth.

    From the variance that leaving out one subject at a time gives a mean over pairs of subjects
    (the jackknife of a U-statistic): never too small, and up to twice too large where subjects do
    not matter, so that intervals err to the wide side. Wilson's interval at the effective number
    keeps its coverage where errors are few (Fogliato, Patil and Perona, IJCV 2024, on 1:1
    matching).
    """
    trials = float(trials_S.sum()) / 2
    rate = float(errors_S.sum()) / 2 / trials
    spread = rate * (1 - rate)
    if spread == 0:
        return trials / 2
    residuals_S = errors_S - rate * trials_S
    return trials * spread / max(float(np.square(residuals_S).sum()) / trials, spread)


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
    """The highest impostor scores, descending, with the two photos of each; `total` is of all."""

    scores_K: NDArray[np.float32] = field(repr=False)
    left_K: NDArray[np.intp] = field(repr=False)
    right_K: NDArray[np.intp] = field(repr=False)
    total: int


def by_subject(
    comparisons: Comparisons, thresholds: NDArray[np.float64]
) -> tuple[SubjectCounts, Tail]:
    """Score everything again, counting errors by subject at ascending thresholds."""
    subjects = comparisons.subjects_N
    counter, highest = _Counter(subjects, thresholds), _Highest()
    for batch in comparisons.batches():
        left, right = subjects[batch.left_P], subjects[batch.right_P]
        same = left == right
        counter.genuine(batch.scores_P[same], left[same])
        counter.impostor(batch.scores_P[~same], left[~same], right[~same])
        highest.add(batch, ~same)
    counts = counter.counts()
    return counts, highest.tail(int(counts.impostor_S.sum()) // 2)


class _Counter:
    """Errors by subject, from batches."""

    def __init__(self, subjects_N: NDArray[np.int32], thresholds_T: NDArray[np.float64]) -> None:
        self._subjects = int(subjects_N.max()) + 1
        self._thresholds = np.asarray(thresholds_T, dtype=np.float32)
        shape = (self._subjects, len(thresholds_T) + 1)
        self._false_matches = np.zeros(shape, dtype=np.int64)
        self._reached = np.zeros(shape, dtype=np.int64)
        self._impostor = np.zeros(self._subjects, dtype=np.int64)
        self._genuine = np.zeros(self._subjects, dtype=np.int64)

    def genuine(self, scores: NDArray[np.float32], subjects: NDArray[np.int32]) -> None:
        self._genuine += np.bincount(subjects, minlength=self._subjects)
        self._reached += self._levels(scores, subjects)

    def impostor(
        self,
        scores: NDArray[np.float32],
        left: NDArray[np.int32],
        right: NDArray[np.int32],
    ) -> None:
        high = scores >= self._thresholds[0]
        for side in (left, right):
            self._impostor += np.bincount(side, minlength=self._subjects)
            self._false_matches += self._levels(scores[high], side[high])

    def counts(self) -> SubjectCounts:
        return SubjectCounts(
            thresholds_T=self._thresholds.astype(np.float64),
            impostor_S=self._impostor,
            false_matches_ST=_at_or_above(self._false_matches),
            genuine_S=self._genuine,
            misses_ST=self._genuine[:, None] - _at_or_above(self._reached),
        )

    def _levels(
        self, scores: NDArray[np.float32], subjects: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        """Scores counted by subject and by how many thresholds they reach."""
        columns = len(self._thresholds) + 1
        levels = np.searchsorted(self._thresholds, scores, side="right")
        cells = subjects.astype(np.int64) * columns + levels
        return np.bincount(cells, minlength=self._subjects * columns).reshape(-1, columns)


def _at_or_above(levels_SK: NDArray[np.int64]) -> NDArray[np.int64]:
    """From "reaches exactly k thresholds" to "reaches threshold t", dropping those of none."""
    return np.cumsum(levels_SK[:, ::-1], axis=1)[:, ::-1][:, 1:]


class _Highest:
    """The highest scores seen so far, in bounded memory."""

    def __init__(self) -> None:
        self._floor = np.float32(-2)
        self._parts: list[Batch] = []
        self._held = 0

    def add(self, batch: Batch, allowed_P: NDArray[np.bool_]) -> None:
        kept = allowed_P & (batch.scores_P >= self._floor)
        self._parts.append(pick(batch, kept))
        self._held += int(np.count_nonzero(kept))
        if self._held > 4 * _TAIL:
            self._prune()

    def tail(self, total: int) -> Tail:
        self._prune()
        top = self._parts[0]
        return Tail(top.scores_P, top.left_P, top.right_P, total)

    def _prune(self) -> None:
        whole = join(self._parts)
        order = np.argsort(-whole.scores_P, kind="stable")[:_TAIL]
        self._parts, self._held = [pick(whole, order)], len(order)
        if len(order) == _TAIL:
            self._floor = self._parts[0].scores_P[-1]
