"""1:N search on a gallery small enough to check by hand, and against brute force."""

import numpy as np
import pytest

from models.evaluate import UnsupportedRateError, rank_accuracy, search, tpir_at_fpir


def _at(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * 5


def test_a_search_by_hand() -> None:
    gallery_GD, gallery_subject_G = _at(0, 40, 90, 180), np.array([1, 1, 2, 3])
    probe_QD, probe_subject_Q = _at(50, 80, 10, 170), np.array([1, 1, 9, 3])
    found = search(probe_QD, probe_subject_Q, gallery_GD, gallery_subject_G)
    assert found.rank.tolist() == [1, 2, 0, 1]
    assert found.mated.tolist() == [True, True, False, True]
    degrees = np.deg2rad([10, 40, 40, 10])
    np.testing.assert_allclose(found.mate[[0, 1, 3]], np.cos(degrees[[0, 1, 3]]))
    np.testing.assert_allclose(found.other, np.cos(np.deg2rad([40, 10, 10, 80])))
    assert rank_accuracy(found) == pytest.approx(2 / 3)
    assert rank_accuracy(found, rank=2) == 1


def test_a_tie_with_another_subject_is_not_rank_one() -> None:
    found = search(np.array([[1.0, 1.0]]), np.array([1]), np.eye(2), np.array([1, 2]))
    assert found.rank.tolist() == [2]


def test_chunks_change_nothing() -> None:
    random = np.random.default_rng(0)
    gallery_GD, probe_QD = random.normal(size=(60, 16)), random.normal(size=(41, 16))
    gallery_subject_G, probe_subject_Q = random.integers(0, 20, 60), random.integers(0, 30, 41)
    whole = search(probe_QD, probe_subject_Q, gallery_GD, gallery_subject_G)
    parts = search(probe_QD, probe_subject_Q, gallery_GD, gallery_subject_G, chunk=7)
    np.testing.assert_allclose(whole.other, parts.other)
    np.testing.assert_array_equal(whole.rank, parts.rank)


@pytest.fixture
def people() -> tuple[np.ndarray, np.ndarray]:
    """Features (600, 64) of 300 people, two each, about 0.74 alike."""
    random = np.random.default_rng(6)
    centre_SD = random.normal(size=(300, 64))
    feature_ND = np.repeat(centre_SD, 2, axis=0) + random.normal(0, 0.6, (600, 64))
    return feature_ND, np.repeat(np.arange(300), 2)


@pytest.mark.parametrize("rank", [1, 5])
def test_the_open_set_rates_are_what_counting_gives(
    people: tuple[np.ndarray, np.ndarray], rank: int
) -> None:
    feature_ND, subject_N = people
    feature_ND[300:] *= 0.1  # a norm must not move a rate
    enrolled_N = (np.arange(600) % 2 == 0) & (subject_N < 150)
    probe_N = np.arange(600) % 2 == 1
    found = search(
        feature_ND[probe_N], subject_N[probe_N], feature_ND[enrolled_N], subject_N[enrolled_N]
    )
    point = tpir_at_fpir(found, fpir=0.1, rank=rank)
    unit_ND = feature_ND / np.linalg.norm(feature_ND, axis=1, keepdims=True)
    similarity_QS = unit_ND[probe_N] @ unit_ND[enrolled_N].T
    returned_Q = (similarity_QS >= point.threshold).any(axis=1)
    assert point.false_positive.value == returned_Q[150:].mean() == pytest.approx(0.1)
    mate_Q = similarity_QS[np.arange(150), np.arange(150)]
    within_Q = (similarity_QS[:150] > mate_Q[:, None]).sum(axis=1) < rank
    hit_Q = within_Q & (mate_Q >= point.threshold)
    assert point.true_positive.value == pytest.approx(hit_Q.mean())
    assert 0.5 < hit_Q.mean() <= 1


def test_a_rate_needs_enough_people_who_are_not_enrolled() -> None:
    found = search(_at(1, 2), np.array([1, 9]), _at(0, 90), np.array([1, 2]))
    with pytest.raises(UnsupportedRateError, match="needs 30 "):
        tpir_at_fpir(found, fpir=0.1)


def test_a_gallery_of_one_person_is_refused() -> None:
    with pytest.raises(ValueError, match="two subjects"):
        search(_at(1), np.array([1]), _at(0, 5), np.array([1, 1]))
