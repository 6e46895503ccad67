"""Rates and thresholds against counting, and the traps: ties, float32, unsupported rates."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluate import (
    UnsupportedRateError,
    auc,
    equal_error_rate,
    error_curve,
    fmr,
    fnmr,
    threshold_at_fmr,
)

scores = st.lists(st.integers(-20, 20).map(lambda n: n / 20), min_size=1, max_size=40).map(np.array)


def test_importing_the_evaluation_imports_no_torch() -> None:
    code = "import sys, models.evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(scores, scores, st.floats(-1.5, 1.5))
def test_rates_are_what_counting_gives(
    genuine: np.ndarray, impostor: np.ndarray, threshold: float
) -> None:
    assert fmr(impostor, threshold) == pytest.approx((impostor >= threshold).mean())
    assert fnmr(genuine, threshold) == pytest.approx((genuine < threshold).mean())


@given(scores, st.floats(0.01, 0.99))
def test_the_threshold_is_the_smallest_that_keeps_the_rate(
    impostor: np.ndarray, target: float
) -> None:
    threshold = threshold_at_fmr(impostor, target, support=0)
    assert (impostor >= threshold).mean() <= target + 1e-9
    next_lower = impostor[impostor < threshold].max()
    assert (impostor >= next_lower).mean() > target


def test_a_rate_that_divides_the_impostors_is_met_exactly() -> None:
    """0.29 × 100 is 28.999… in floating point."""
    impostor = np.arange(100) / 100
    assert fmr(impostor, threshold_at_fmr(impostor, 0.29)) == pytest.approx(0.29)


def test_a_float32_service_decides_like_the_calibration() -> None:
    impostor = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    threshold = threshold_at_fmr(impostor, 1e-2)
    assert (impostor >= np.float32(threshold)).sum() == 40
    assert (impostor.astype(np.float64) >= threshold).sum() == 40


def test_a_rate_needs_three_times_its_inverse_in_impostors() -> None:
    assert threshold_at_fmr(np.linspace(0, 1, 3000), 1e-3) > 0.99
    with pytest.raises(UnsupportedRateError, match="needs 3000 impostor comparisons, not 2999"):
        threshold_at_fmr(np.linspace(0, 1, 2999), 1e-3)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold_at_fmr(np.linspace(0, 1, 100), rate)


@given(scores, scores)
def test_the_area_is_the_chance_of_the_right_order(
    genuine: np.ndarray, impostor: np.ndarray
) -> None:
    difference = np.sign(genuine[:, None] - impostor)
    assert auc(genuine, impostor) == pytest.approx((difference.mean() + 1) / 2)


@given(scores, scores)
def test_the_curve_falls_from_one_to_zero(genuine: np.ndarray, impostor: np.ndarray) -> None:
    curve = error_curve(genuine, impostor)
    assert (curve.fmr[0], curve.fnmr[0]) == (1, 0)
    assert (curve.fmr[-1], curve.fnmr[-1]) == (0, 1)
    assert (np.diff(curve.fmr) <= 0).all()
    assert (np.diff(curve.tar) <= 0).all()


@pytest.mark.parametrize(("distance", "rate"), [(1.0, 0.308538), (2.0, 0.158655), (0.0, 0.5)])
def test_the_equal_error_rate_of_two_normals(distance: float, rate: float) -> None:
    """Unit normals `distance` apart meet at Φ(−distance / 2)."""
    random = np.random.default_rng(1)
    genuine, impostor = random.normal(distance, 1, 40_000), random.normal(0, 1, 40_000)
    assert equal_error_rate(genuine, impostor) == pytest.approx(rate, abs=0.006)


def test_separated_scores_have_no_equal_error() -> None:
    assert equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0
