"""Tail models against distributions whose tails are known in closed form."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from export.calibrate.subjects import Tail
from export.calibrate.tail import TailModel, extrapolate, fit
from export.errors import UnsupportedRateError

SUBJECTS = np.arange(400, dtype=np.int32)
NORMAL = NormalDist(0, 0.12)
Quantile = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _tail(quantile: Quantile, total: int, random: np.random.Generator) -> Tail:
    """The highest of `total` independent scores, drawn without drawing the others."""
    size = total // 400
    steps = random.exponential(size=size).cumsum()
    scores = quantile(steps / (steps[-1] + random.gamma(total + 1 - size)))
    left, right = random.integers(len(SUBJECTS), size=(2, size))
    return Tail(scores.astype(np.float32), left, right, total)


def _normal(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([-NORMAL.inv_cdf(share) for share in upper])


def _exponential(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    return -0.05 * np.log(upper)


def _true_fmr(threshold: float) -> float:
    return NORMAL.cdf(-threshold)


def test_the_gpd_interval_covers_the_true_fmr_beyond_the_data() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(40):
        found = extrapolate(_tail(_normal, 1_000_000, random), SUBJECTS, 1e-7, "gpd")
        covered += found.fmr_interval.low <= _true_fmr(found.threshold) <= found.fmr_interval.high
    assert covered >= 34


def test_the_exponential_model_is_cautious_on_lighter_tails() -> None:
    random = np.random.default_rng(2)
    for _ in range(10):
        found = extrapolate(_tail(_normal, 1_000_000, random), SUBJECTS, 1e-7, "exponential")
        assert _true_fmr(found.threshold) < 1e-7


@pytest.mark.parametrize("model", ["gpd", "exponential"])
def test_both_models_find_an_exponential_tail(model: TailModel) -> None:
    fitted = fit(_tail(_exponential, 10_000_000, np.random.default_rng(3)), model)
    assert fitted.scale == pytest.approx(0.05, rel=0.05)
    assert fitted.shape == pytest.approx(0, abs=0.05)
    assert fitted.fmr(fitted.threshold(1e-8)) == pytest.approx(1e-8)


def test_no_model_is_believed_far_beyond_the_data() -> None:
    tail = _tail(_exponential, 1_000_000, np.random.default_rng(3))
    with pytest.raises(UnsupportedRateError, match="100 times rarer"):
        extrapolate(tail, SUBJECTS, 1e-9, "gpd")


def test_a_short_tail_is_refused() -> None:
    tail = _tail(_exponential, 10_000, np.random.default_rng(4))
    with pytest.raises(UnsupportedRateError, match="500,000 impostor"):
        extrapolate(tail, SUBJECTS, 1e-4, "gpd")
