"""Intervals must cover the truth as often as they say, also where some people resemble many."""

from collections.abc import Callable, Iterator
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from export.calibrate.comparisons import AllPairs, Batch
from export.calibrate.counts import count
from export.calibrate.labels import LabelledFeatures
from export.calibrate.subjects import by_subject, dyadic_effective_trials
from export.rates import wilson

People = Callable[..., LabelledFeatures]
IMPOSTOR = NormalDist(0, 0.1)


class _Scored:
    """Comparisons with given scores, for worlds whose error rates are known exactly."""

    def __init__(self, batch: Batch, subjects_N: NDArray[np.int32]) -> None:
        self.subjects_N = subjects_N
        self._batch = batch

    def batches(self) -> Iterator[Batch]:
        yield self._batch

    def within(self, rows: NDArray[np.intp]) -> "_Scored":
        raise NotImplementedError


def _world(subjects: int, shared: float, random: np.random.Generator) -> _Scored:
    """Impostor scores 0.1 · N(0, 1) in all, of which each side's person brings the share `shared`.

    Two photos a person; genuine scores 0.6 + 0.1 · N(0, 1), one for each.
    """
    codes = np.repeat(np.arange(subjects, dtype=np.int32), 2)
    left, right = np.triu_indices(len(codes), k=1)
    own = random.standard_normal(subjects)
    pair = np.sqrt(1 - 2 * shared) * random.standard_normal(len(left))
    scores = 0.1 * (pair + np.sqrt(shared) * (own[codes[left]] + own[codes[right]]))
    same = codes[left] == codes[right]
    scores[same] = 0.6 + 0.1 * random.standard_normal(same.sum())
    return _Scored(Batch(scores.astype(np.float32), left, right), codes)


def _true_fmr(threshold: float) -> float:
    return IMPOSTOR.cdf(-threshold)


# At 0.25 half of a score's variance is its two people's; 80 people would then be too few.
@pytest.mark.parametrize(("shared", "subjects"), [(0.0, 80), (0.1, 80), (0.25, 160)])
@pytest.mark.parametrize("target", [0.05, 0.003])
def test_the_interval_covers_the_true_fmr_at_the_chosen_threshold(
    shared: float, subjects: int, target: float
) -> None:
    random = np.random.default_rng([int(shared * 100), int(1 / target)])
    covered = 0
    for _ in range(200):
        world = _world(subjects, shared, random)
        threshold = count(world).threshold(target)
        counts, _ = by_subject(world, np.array([threshold]))
        low, high = counts.fmr_interval(0)
        covered += low <= _true_fmr(threshold) <= high
    # 200 draws at 95%: fewer than 182 happens to an honest interval once in 200 times.
    assert covered >= 182


def test_counting_pairs_as_independent_would_not_cover() -> None:
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(100):
        world = _world(80, 0.25, random)
        counts, tail = by_subject(world, np.array([0.15]))
        low, high = wilson(counts.fmr(0), tail.total)
        covered += low <= _true_fmr(0.15) <= high
    assert covered < 60


def test_the_interval_covers_the_true_fnmr() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        counts, _ = by_subject(_world(80, 0.0, random), np.array([0.5]))
        low, high = counts.fnmr_interval(0)
        covered += low <= 0.15866 <= high
    assert covered >= 182


def test_errors_of_one_person_count_for_less_than_errors_of_many() -> None:
    trials = np.full(100, 99)
    many = np.full(100, 1)  # 50 errors, each between two other people
    one = np.r_[50, np.r_[np.ones(50), np.zeros(49)]].astype(np.int64)  # 50 errors of one person
    assert dyadic_effective_trials(many, trials) == pytest.approx(100 * 99 / 2, rel=0.02)
    assert dyadic_effective_trials(one, trials) < 0.1 * 100 * 99 / 2


def test_a_score_at_the_threshold_is_a_match() -> None:
    subjects = np.array([0, 0, 1, 1], dtype=np.int32)
    left, right = np.triu_indices(4, k=1)
    scores = np.array([0.5, 0.5, 0.25, 0.25, 0.25, 0.25], dtype=np.float32)
    world = _Scored(Batch(scores, left, right), subjects)
    counts, _ = by_subject(world, np.array([0.25, 0.5]))
    assert [counts.fmr(0), counts.fmr(1)] == [1.0, 0.25]
    assert [counts.fnmr(0), counts.fnmr(1)] == [0.0, 0.5]
    grid = count(world)
    assert [grid.fmr(0.5), grid.fnmr(0.5)] == [0.25, 0.5]


def test_the_tail_holds_the_highest_impostors_with_their_photos(people: People) -> None:
    features = people(600, photos=2)
    compared = AllPairs(features.unit(), features.subjects_N)
    _, tail = by_subject(compared, np.array([0.5]))
    unit = features.unit()
    assert tail.total == 1200 * 1199 // 2 - 600
    assert len(tail.scores_K) == 200_000
    assert (np.diff(tail.scores_K) <= 0).all()
    recomputed = np.einsum("kd,kd->k", unit[tail.left_K[:50]], unit[tail.right_K[:50]])
    np.testing.assert_allclose(recomputed, tail.scores_K[:50], atol=1e-6)
    assert count(compared).fmr(float(tail.scores_K[-1])) == pytest.approx(
        200_000 / tail.total, rel=1e-3
    )
