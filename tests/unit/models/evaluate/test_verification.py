"""Folds and comparisons on scores whose answer is known."""

import numpy as np
import pytest

from models.evaluate import Comparisons, compare_all, compare_pairs, fold_accuracy, tar_at_fmr
from models.evaluate.verification import best_threshold


def test_pairs_score_the_cosine_of_raw_features() -> None:
    features_ND = np.array([[3.0, 0.0], [0.5, 0.0], [0.0, 9.0], [-1.0, 1.0]])
    pair_P2 = np.array([[0, 1], [0, 2], [0, 3]])
    found = compare_pairs(features_ND, pair_P2, np.array([True, False, False]))
    np.testing.assert_allclose(found.similarity, [1, 0, -np.sqrt(0.5)], atol=1e-12)
    assert found.subject is None


def test_all_pairs_meet_once_and_know_their_subjects() -> None:
    features_ND = np.random.default_rng(0).normal(size=(5, 8))
    found = compare_all(features_ND, np.array([7, 7, 4, 4, 4]))
    assert len(found.similarity) == 10
    assert found.mated.sum() == 1 + 3
    pair_P2 = np.array([[0, 1], [0, 2], [0, 3]])
    listed = compare_pairs(features_ND, pair_P2, found.mated[:3], np.array([7, 7, 4, 4, 4]))
    np.testing.assert_allclose(found.similarity[:3], listed.similarity)
    np.testing.assert_array_equal(found.subject[:3], listed.subject)


@pytest.mark.parametrize("mated", [True, False])
def test_comparisons_of_one_kind_are_refused(mated: bool) -> None:
    with pytest.raises(ValueError, match="mated and non-mated"):
        Comparisons(np.array([0.1, 0.2]), np.array([mated, mated]))


@pytest.mark.parametrize("broken", [0.0, np.nan])
def test_a_feature_without_direction_is_refused(broken: float) -> None:
    features_ND = np.array([[1.0, 0.0], [broken, broken]])
    with pytest.raises(ValueError, match="zero or not finite"):
        compare_all(features_ND, np.array([0, 1]))


def test_each_fold_is_judged_by_the_others() -> None:
    """One fold of ten has its scores shifted: the others' threshold is wrong only there."""
    mated_P = np.tile([True, False], 100)
    similarity_P = np.where(mated_P, 0.6, 0.2)
    similarity_P[:20] += 0.5
    found = fold_accuracy(Comparisons(similarity_P, mated_P))
    np.testing.assert_allclose(found.accuracy, [0.5] + [1.0] * 9)
    assert found.mean == pytest.approx(0.95)
    assert found.std == pytest.approx(0.15)
    assert found.standard_error == pytest.approx(0.05)


def test_given_folds_are_used() -> None:
    mated_P = np.tile([True, False], 10)
    fold_P = np.arange(20) // 2 % 5
    found = fold_accuracy(Comparisons(mated_P * 1.0, mated_P), fold_P=fold_P)
    assert found.accuracy.tolist() == [1] * 5


def test_the_best_threshold_is_found_among_all() -> None:
    random = np.random.default_rng(2)
    for _ in range(20):
        similarity_P = np.round(random.normal(size=40), 1)
        mated_P = random.random(40) < 0.5
        grid = np.arange(-5, 5, 0.05) + 0.025
        best = max(((similarity_P >= t) == mated_P).mean() for t in grid)
        found = best_threshold(similarity_P, mated_P)
        assert ((similarity_P >= found) == mated_P).mean() == pytest.approx(best)


def test_tar_at_fmr_is_what_counting_gives() -> None:
    random = np.random.default_rng(4)
    similarity_P = np.concatenate([random.normal(3, 1, 500), random.normal(0, 1, 3000)])
    point = tar_at_fmr(Comparisons(similarity_P, np.arange(3500) < 500), 1e-2)
    assert point.false_positive.value == pytest.approx(30 / 3000)
    assert point.true_positive.value == (similarity_P[:500] >= point.threshold).mean()
    assert point.true_positive.value + point.false_negative.value == pytest.approx(1)
    assert point.true_positive.low < point.true_positive.value < point.true_positive.high
