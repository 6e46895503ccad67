"""Drift of known size, and the bounds that stop it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from export.drift import BOUNDS, Bounds, Drift, measure, require
from export.embed import Crops, Embed, Features
from export.errors import DriftError

SUBJECTS = np.repeat(np.arange(30), 4)
CROPS = np.zeros((120, 2, 2, 3), dtype=np.uint8)
NONE_LOST = Drift(120, 30, 1.0, 1.0, 0.0, 0.0, 1.0, 0.99, 0.99, 0.97, 0.97)


def _features() -> Features:
    random = np.random.default_rng(0)
    centres = np.repeat(random.normal(size=(30, 32)), 4, axis=0)
    features = centres + random.normal(0, 0.4, (120, 32))
    return (features * random.uniform(2, 5, (120, 1))).astype(np.float32)


def _giving(features: Features) -> Embed:
    def embed(_: Crops) -> NDArray[np.float32]:
        return features

    return embed


def test_the_same_features_have_no_drift() -> None:
    found = measure(_giving(_features()), _giving(_features()), CROPS, SUBJECTS)
    assert (found.crops, found.subjects) == (120, 30)
    assert found.cosine_min == pytest.approx(1, abs=1e-6)
    assert found.norm_error_max == 0
    assert found.norm_rank_correlation == pytest.approx(1)
    assert found.auc_before == found.auc_after
    assert found.accuracy_before == found.accuracy_after
    assert require(found, Bounds(0.99999, 0.9999, 0.001, 0, 0)) is found


def test_each_difference_is_measured() -> None:
    before, after = _features(), _features()
    after[5] *= 1.25
    after[7] = np.roll(after[7], 1)
    found = measure(_giving(before), _giving(after), CROPS, SUBJECTS)
    cosine = before[7] @ after[7] / np.linalg.norm(before[7]) ** 2
    assert found.norm_error_max == pytest.approx(0.25, abs=1e-5)
    assert found.norm_error_mean == pytest.approx(0.25 / 120, abs=1e-5)
    assert found.cosine_min == pytest.approx(cosine, abs=1e-5)
    assert found.cosine_mean == pytest.approx((119 + cosine) / 120, abs=1e-5)
    assert found.norm_rank_correlation < 1
    assert found.auc_after < found.auc_before
    assert found.accuracy_after < found.accuracy_before


def test_accuracy_weighs_both_kinds_of_pair_alike() -> None:
    """Few genuine pairs among many impostors: calling all impostors is not 97 % right."""
    features = np.random.default_rng(1).normal(size=(120, 32)).astype(np.float32)
    found = measure(_giving(features), _giving(features), CROPS, SUBJECTS)
    assert 0.5 <= found.accuracy_before < 0.62


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cosine_mean": 0.98}, "mean cosine 0.98000, >= 0.99 is wanted"),
        ({"cosine_min": 0.96}, "lowest cosine 0.96000, >= 0.97"),
        ({"norm_error_max": 0.06}, "largest norm error 0.06000, <= 0.05"),
        ({"auc_after": 0.988}, "AUC lost 0.00200, <= 0.001"),
        ({"accuracy_after": 0.96}, "accuracy lost 0.01000, <= 0.005"),
        ({"cosine_mean": float("nan")}, "mean cosine nan"),
    ],
)
def test_each_bound_stops_the_file(change: dict[str, float], message: str) -> None:
    with pytest.raises(DriftError, match=message):
        require(replace(NONE_LOST, **change), BOUNDS["int8"])


def test_every_bound_that_is_passed_is_named() -> None:
    with pytest.raises(DriftError, match=r"lowest cosine .*; AUC lost"):
        require(replace(NONE_LOST, cosine_min=0.5, auc_after=0.5), BOUNDS["int8"])


def test_features_that_overflow_are_refused() -> None:
    broken = _features()
    broken[3, 3] = np.inf
    with pytest.raises(DriftError, match="not finite"):
        measure(_giving(_features()), _giving(broken), CROPS, SUBJECTS)
