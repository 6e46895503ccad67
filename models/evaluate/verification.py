"""1:1 evaluation: LFW's ten folds, and TAR at FMR with intervals over subjects."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluate.comparisons import Comparisons, Scores
from models.evaluate.intervals import ErrorPoint, Resampling, Scored, error_point


@dataclass(frozen=True, slots=True)
class FoldAccuracy:
    """Accuracy of each fold at the threshold that was best on the others (fractions)."""

    accuracy: NDArray[np.float64]
    threshold: NDArray[np.float64]

    @property
    def mean(self) -> float:
        return float(self.accuracy.mean())

    @property
    def std(self) -> float:
        """Standard deviation over the folds, as the field prints after ±."""
        return float(self.accuracy.std())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, as LFW's protocol asks (Huang et al. 2007)."""
        return float(self.accuracy.std(ddof=1) / np.sqrt(len(self.accuracy)))


def fold_accuracy(
    comparisons: Comparisons, folds: int = 10, fold_P: NDArray[np.integer] | None = None
) -> FoldAccuracy:
    """k-fold verification accuracy.

    `fold_P` gives the fold of each pair. Without it the list is cut into equal runs: LFW's files
    list fold after fold, with disjoint people.
    """
    count = len(comparisons.similarity)
    if fold_P is None:
        fold_P = np.arange(count) * folds // count
    accuracies, thresholds = [], []
    for fold in np.unique(fold_P):
        held_out_P = fold_P == fold
        threshold = best_threshold(
            comparisons.similarity[~held_out_P], comparisons.mated[~held_out_P]
        )
        said_P = comparisons.similarity[held_out_P] >= threshold
        accuracies.append((said_P == comparisons.mated[held_out_P]).mean())
        thresholds.append(threshold)
    return FoldAccuracy(np.array(accuracies), np.array(thresholds))


def best_threshold(similarity_P: Scores, mated_P: NDArray[np.bool_]) -> float:
    """The threshold of the highest accuracy, half-way between neighbouring scores.

    Where several are equally good, the middle one of them.
    """
    score_T, place_P = np.unique(similarity_P, return_inverse=True)
    mated_T = np.bincount(place_P, weights=mated_P)
    step_T = np.bincount(place_P) - 2 * mated_T
    # right_T[t]: pairs decided rightly when the t lowest distinct scores do not match.
    right_T = mated_T.sum() + np.concatenate([[0], np.cumsum(step_T)])
    best = np.flatnonzero(right_T == right_T.max())
    place = int(best[len(best) // 2])
    padded = np.concatenate([[score_T[0] - 1], score_T, [score_T[-1] + 1]])
    return float((padded[place] + padded[place + 1]) / 2)


def tar_at_fmr(
    comparisons: Comparisons,
    fmr: float,
    resampling: Resampling = Resampling(),  # noqa: B008 (frozen)
    support: float = 3.0,
) -> ErrorPoint:
    """TAR (`true_positive`), FMR and FNMR at the smallest threshold with FMR ≤ `fmr`.

    Raises UnsupportedRateError with fewer than `support` / `fmr` impostor comparisons.
    """
    return error_point(*_by_kind(comparisons), fmr, resampling, support)


def _by_kind(comparisons: Comparisons) -> tuple[Scored, Scored]:
    """(impostor, genuine) with the subjects that each comparison depends on."""
    mated_P, subject_P2 = comparisons.mated, comparisons.subject
    if subject_P2 is None:
        own_P1 = np.arange(len(mated_P))[:, None]
        return (
            Scored(comparisons.impostor, own_P1[~mated_P]),
            Scored(comparisons.genuine, own_P1[mated_P]),
        )
    return (
        Scored(comparisons.impostor, subject_P2[~mated_P]),
        Scored(comparisons.genuine, subject_P2[mated_P, :1]),
    )
