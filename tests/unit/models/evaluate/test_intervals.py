"""Do intervals cover the truth as often as they claim? Simulated people, known error rates."""

from statistics import NormalDist

import numpy as np
import pytest

from models.evaluate import Comparisons, Resampling, tar_at_fmr
from models.evaluate.intervals import ErrorPoint, without_errors

NORMAL = NormalDist()
CONFIDENCE = 0.9
TARGET = 0.05
TRUE_THRESHOLD = NORMAL.inv_cdf(1 - TARGET) * np.sqrt(2 * 0.3**2 + 0.9**2)
PULL = 2.0


def _population(seed: int, people: int = 50, photos: int = 3) -> Comparisons:
    """Every person shifts all their scores ("goats" and "lambs"), so comparisons are dependent.

    Impostor scores are N(0, 2·0.3² + 0.9²), genuine ones N(2, 0.6² + 0.6²).
    """
    random = np.random.default_rng(seed)
    subject_N = np.repeat(np.arange(people), photos)
    pair_P2 = np.stack(np.triu_indices(len(subject_N), k=1), axis=1)
    subject_P2 = subject_N[pair_P2]
    mated_P = subject_P2[:, 0] == subject_P2[:, 1]
    lamb_S, goat_S = random.normal(0, 0.3, people), random.normal(0, 0.6, people)
    noise_P = random.normal(0, 1, len(mated_P))
    impostor_P = lamb_S[subject_P2].sum(axis=1) + 0.9 * noise_P
    genuine_P = PULL + goat_S[subject_P2[:, 0]] + 0.6 * noise_P
    return Comparisons(np.where(mated_P, genuine_P, impostor_P), mated_P, subject_P2)


def _fmr(threshold: float) -> float:
    return 1 - NORMAL.cdf(threshold / np.sqrt(2 * 0.3**2 + 0.9**2))


def _fnmr(threshold: float) -> float:
    return NORMAL.cdf((threshold - PULL) / np.sqrt(2 * 0.6**2))


@pytest.fixture(scope="module")
def points() -> list[ErrorPoint]:
    """The operating point that each of 160 studies would report."""
    resampling = Resampling(replicates=120, confidence=CONFIDENCE)
    return [tar_at_fmr(_population(seed), TARGET, resampling) for seed in range(160)]


def test_fnmr_at_the_threshold_is_covered_as_often_as_claimed(points: list[ErrorPoint]) -> None:
    covered = [p.false_negative.low <= _fnmr(p.threshold) <= p.false_negative.high for p in points]
    assert 0.83 <= np.mean(covered) <= 0.96


def test_tar_at_the_wanted_fmr_is_covered_as_often_as_claimed(points: list[ErrorPoint]) -> None:
    truth = 1 - _fnmr(TRUE_THRESHOLD)
    covered = [p.true_positive.low <= truth <= p.true_positive.high for p in points]
    assert 0.84 <= np.mean(covered) <= 0.98


def test_fmr_at_the_threshold_is_covered_at_least_as_often_as_claimed(
    points: list[ErrorPoint],
) -> None:
    """The pigeonhole bootstrap is conservative, but not idle: it must miss now and then."""
    covered = [p.false_positive.low <= _fmr(p.threshold) <= p.false_positive.high for p in points]
    assert 0.85 <= np.mean(covered) < 1


def test_counting_comparisons_instead_of_people_covers_too_rarely() -> None:
    """Why the subjects are resampled: the same studies, each comparison taken as independent."""
    covered = []
    for seed in range(100):
        known = _population(seed, people=30, photos=4)
        blind = Comparisons(known.similarity, known.mated)
        point = tar_at_fmr(blind, TARGET, Resampling(replicates=120, confidence=CONFIDENCE))
        rate = point.false_negative
        covered.append(rate.low <= _fnmr(point.threshold) <= rate.high)
    assert np.mean(covered) < 0.83


def test_independent_comparisons_are_covered_as_often_as_claimed() -> None:
    covered = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        similarity_P = np.concatenate([random.normal(2, 1, 200), random.normal(0, 1, 400)])
        comparisons = Comparisons(similarity_P, np.arange(600) < 200)
        point = tar_at_fmr(comparisons, 0.1, Resampling(replicates=120, confidence=CONFIDENCE))
        truth = NORMAL.cdf(2 - NORMAL.inv_cdf(0.9))
        covered.append(point.true_positive.low <= truth <= point.true_positive.high)
    assert 0.84 <= np.mean(covered) <= 0.96


def test_no_error_seen_is_not_no_error_possible() -> None:
    """Ten people without a false non-match leave room for 31 % at 95 % (1 − 0.025^(1/10))."""
    subject_P2 = np.concatenate([np.tile(np.arange(10)[:, None], 2), [(0, 1), (2, 3)]])
    mated_P = np.arange(12) < 10
    point = tar_at_fmr(Comparisons(mated_P * 1.0, mated_P, subject_P2), 0.5, support=1)
    assert (point.false_negative.value, point.false_negative.low) == (0, 0)
    assert point.false_negative.high == pytest.approx(0.3085, abs=1e-4)
    assert point.true_positive.low == pytest.approx(1 - 0.3085, abs=1e-4)


def test_the_same_seed_gives_the_same_interval() -> None:
    first, again = (tar_at_fmr(_population(3), TARGET, Resampling(50, seed=1)) for _ in range(2))
    assert first == again
    assert first != tar_at_fmr(_population(3), TARGET, Resampling(50, seed=2))


def test_the_limit_without_errors_is_the_exact_one() -> None:
    """At the limit, seeing no error has the probability (1 − confidence) / 2."""
    assert (1 - without_errors(50, 0.9)) ** 50 == pytest.approx(0.05)
