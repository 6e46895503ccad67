"""Error versus discard where the right curve is known."""

import numpy as np
import pytest

from models.evaluate import (
    Comparisons,
    UnsupportedRateError,
    error_versus_discard,
    pair_quality,
)

IMPOSTORS = np.linspace(-1, 0.5, 1000)


def _comparisons(genuine: np.ndarray, impostor: np.ndarray = IMPOSTORS) -> Comparisons:
    similarity_P = np.concatenate([genuine, impostor])
    return Comparisons(similarity_P, np.arange(len(similarity_P)) < len(genuine))


def _quality(genuine: np.ndarray, impostors: int = len(IMPOSTORS)) -> np.ndarray:
    return np.concatenate([genuine, np.full(impostors, 0.5)])


def test_ten_pairs_by_hand() -> None:
    genuine = np.array([0.0, 0.9, 0.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])
    curve = error_versus_discard(_comparisons(genuine), _quality(np.arange(10.0)), fmr=0.01)
    np.testing.assert_allclose(curve.discarded, np.arange(10) / 10)
    np.testing.assert_allclose(curve.fnmr, [2 / 10, 1 / 9, 1 / 8, *[0] * 7])
    assert curve.at(0) == curve.at(0.099) == 0.2
    assert curve.at(0.25) == 1 / 8
    area = curve.area(0.25)
    assert area.raw == pytest.approx(0.1 * 0.2 + 0.1 / 9 + 0.05 / 8)
    assert area.ideal == pytest.approx(0.2**2 / 2)
    assert area.above_ideal == pytest.approx(area.raw - 0.02)
    assert area.normalised == pytest.approx(area.raw / (0.2 * 0.25))


def test_equal_qualities_leave_together() -> None:
    genuine = np.array([0.0, 0.9, 0.9, 0.0, 0.9])
    curve = error_versus_discard(
        _comparisons(genuine), _quality(np.array([1.0, 1, 2, 2, 3])), fmr=0.01
    )
    np.testing.assert_allclose(curve.discarded, [0, 0.4, 0.8])
    np.testing.assert_allclose(curve.fnmr, [2 / 5, 1 / 3, 0])


def test_the_order_of_equal_qualities_does_not_matter() -> None:
    random = np.random.default_rng(0)
    genuine, quality = random.uniform(0, 1, 500), random.integers(0, 6, 500).astype(float)
    shuffled = random.permutation(500)
    first = error_versus_discard(_comparisons(genuine), _quality(quality), fmr=0.01)
    second = error_versus_discard(
        _comparisons(genuine[shuffled]), _quality(quality[shuffled]), fmr=0.01
    )
    np.testing.assert_array_equal(first.fnmr, second.fnmr)


def test_a_quality_that_knows_the_errors_is_near_the_ideal() -> None:
    random = np.random.default_rng(1)
    genuine = np.where(random.random(20_000) < 0.1, 0.0, 0.9)
    perfect = error_versus_discard(_comparisons(genuine), _quality(genuine), fmr=0.01)
    noisy = genuine + random.normal(0, 1e-3, 20_000)
    ordered = error_versus_discard(_comparisons(genuine), _quality(noisy), fmr=0.01).area(0.3)
    # The step's own curve is (f − r) / (1 − r), a little above NIST's straight line.
    assert 0 <= ordered.above_ideal < 0.1 * ordered.raw
    assert perfect.fnmr[-1] == 0


def test_a_quality_that_knows_nothing_stays_flat() -> None:
    random = np.random.default_rng(2)
    genuine = np.where(random.random(20_000) < 0.1, 0.0, 0.9)
    curve = error_versus_discard(_comparisons(genuine), _quality(random.random(20_000)), fmr=0.01)
    assert curve.area(0.3).normalised == pytest.approx(1, abs=0.05)
    assert curve.at(0.3) == pytest.approx(0.1, abs=0.01)


def test_the_fixed_threshold_is_that_of_all_pairs() -> None:
    """Bad impostors score high; leaving them out must not loosen a fixed threshold."""
    impostor = np.concatenate([np.full(500, 0.6), np.linspace(-1, 0.2, 4500)])
    genuine = np.linspace(0.1, 0.9, 200)
    quality_P = np.concatenate([np.linspace(0, 1, 200), np.zeros(500), np.ones(4500)])
    comparisons = _comparisons(genuine, impostor)
    fixed = error_versus_discard(comparisons, quality_P, fmr=0.05)
    moving = error_versus_discard(comparisons, quality_P, fmr=0.05, threshold="per-step")
    assert (fixed.threshold > 0.6).all()
    assert fixed.fnmr[0] == moving.fnmr[0]
    assert moving.threshold[0] == fixed.threshold[0]
    assert (moving.threshold[1:] < 0.3).all()
    assert moving.at(0.05) < fixed.at(0.05)


def test_the_per_step_curve_stops_where_impostors_run_out() -> None:
    quality_P = np.concatenate([np.linspace(0, 1, 100), np.linspace(0, 0.5, 1000)])
    comparisons = _comparisons(np.linspace(0, 1, 100))
    curve = error_versus_discard(comparisons, quality_P, fmr=0.02, threshold="per-step")
    ends = curve.discarded[np.isnan(curve.fnmr)]
    assert len(ends)
    assert (ends > 0.2).all()
    assert curve.area(0.2).raw > 0
    with pytest.raises(UnsupportedRateError, match=r"ends before a discard fraction of 0\.5"):
        curve.area(0.5)


def test_a_threshold_for_a_curve_needs_ten_expected_false_matches() -> None:
    with pytest.raises(UnsupportedRateError, match="needs 10000 "):
        error_versus_discard(_comparisons(np.ones(5)), _quality(np.ones(5)))


def test_no_error_at_all_has_no_normalised_area() -> None:
    curve = error_versus_discard(_comparisons(np.ones(5)), _quality(np.arange(5.0)), fmr=0.01)
    assert curve.area().raw == 0
    assert np.isnan(curve.area().normalised)


def test_a_pair_is_as_good_as_its_worse_sample() -> None:
    quality_N = np.array([3.0, 1.0, 2.0])
    assert pair_quality(quality_N, np.array([[0, 1], [2, 0]])).tolist() == [1, 2]


def test_a_quality_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="quality is not finite"):
        error_versus_discard(_comparisons(np.ones(2)), _quality(np.array([1, np.nan])), fmr=0.01)
