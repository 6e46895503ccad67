from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from export.calibrate.comparisons import AllPairs, ListedPairs
from export.calibrate.counts import cells_of, count, edge_of
from export.calibrate.labels import LabelledFeatures
from export.errors import CalibrationError, UnsupportedRateError

People = Callable[..., LabelledFeatures]


def _brute(features: LabelledFeatures) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    codes = features.subjects_N
    lengths = np.linalg.norm(features.features_ND, axis=1, keepdims=True)
    unit = features.features_ND / lengths
    rows, columns = np.triu_indices(len(unit), k=1)
    scores = np.array([unit[a] @ unit[b] for a, b in zip(rows, columns, strict=True)])
    return scores, codes[rows] == codes[columns]


def test_every_pair_is_counted_once_across_tiles(people: People) -> None:
    features = people(700, photos=3)  # 2,100 photos: three tiles a side, the last one ragged
    counts = count(AllPairs(features.unit(), features.subjects_N))
    assert counts.genuine == 700 * 3
    assert counts.genuine + counts.impostor == 2100 * 2099 // 2


def test_rates_agree_with_brute_force(people: People) -> None:
    features = people(40, photos=2)
    counts = count(AllPairs(features.unit(), features.subjects_N))
    scores, same = _brute(features)
    for target in (0.1, 0.01, 0.001):
        threshold = counts.threshold(target)
        assert counts.fmr(threshold) == pytest.approx((scores[~same] >= threshold).mean())
        assert counts.fnmr(threshold) == pytest.approx((scores[same] < threshold).mean())


def test_the_threshold_is_the_lowest_with_at_most_the_asked_rate(people: People) -> None:
    features = people(60)
    counts = count(AllPairs(features.unit(), features.subjects_N))
    for target in (0.2, 0.05, 0.001):
        threshold = counts.threshold(target)
        assert counts.fmr(threshold) <= target
        assert counts.fmr(threshold - 2**-15) > target


def test_listed_pairs_count_only_what_is_listed(people: People) -> None:
    features = people(4)
    left, right = np.array([0, 0, 2]), np.array([1, 2, 5])
    counts = count(ListedPairs(features.unit(), features.subjects_N, left, right))
    assert (counts.genuine, counts.impostor) == (1, 2)


def test_a_rate_beyond_the_data_is_refused_with_what_is_missing(people: People) -> None:
    features = people(448, photos=1).take(np.arange(448))
    twice = np.r_[0, np.arange(448)]
    counts = count(AllPairs(features.unit()[twice], features.subjects_N[twice]))
    assert counts.impostor == 448 * 447 // 2 + 447
    with pytest.raises(UnsupportedRateError, match=r"3,000,000 impostor.*2,899,425 too few"):
        counts.threshold(1e-6)


def test_one_photo_under_two_names_cannot_be_calibrated_away() -> None:
    same = np.eye(2, dtype=np.float32)[[0, 0, 0, 1]]
    counts = count(AllPairs(same, np.array([0, 0, 1, 2], dtype=np.int32)))
    with pytest.raises(CalibrationError, match="one photo under two names"):
        counts.threshold_of_rank(1)


def test_photos_of_one_person_only_are_refused() -> None:
    with pytest.raises(CalibrationError, match="no impostor"):
        count(AllPairs(np.eye(3, dtype=np.float32), np.zeros(3, dtype=np.int32)))


def test_the_grid_is_exact_at_its_edges() -> None:
    edges = np.array([-1, -0.5, 0, 0.25, 1 - 2**-15, 1], dtype=np.float32)
    below = np.nextafter(edges, np.float32(-2))
    assert [edge_of(float(edge)) for edge in edges] == cells_of(edges).tolist()
    assert (cells_of(below)[1:] == cells_of(edges)[1:] - 1).all()
