from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export import manifest as schema
from export import tables
from export.calibrate import labels
from export.calibrate.comparisons import ListedPairs
from export.calibrate.labels import LabelledFeatures
from export.calibrate.table import TARGETS, Plan, calibrate
from export.errors import CalibrationError, UnsupportedRateError

People = Callable[..., LabelledFeatures]
PLAN = Plan(data="synthetic", detector="none")


def test_the_targets_run_from_one_in_ten_to_one_in_a_million() -> None:
    assert TARGETS[:4] == (0.1, 0.05, 0.02, 0.01)
    assert TARGETS[-1] == 1e-6
    assert len(TARGETS) == 16


def test_the_record_survives_its_own_schema(people: People) -> None:
    record = calibrate(people(100), PLAN).record
    again = schema.parse_record(tables.Calibration, record.model_dump_json().encode(), "here")
    assert again == record
    assert record.data.subjects == 100
    assert record.data.impostor == 200 * 199 // 2 - 100
    assert sum(record.histogram.genuine) == record.data.genuine
    assert sum(record.histogram.impostor) == record.data.impostor


def test_what_the_data_cannot_support_is_listed_not_guessed(people: People) -> None:
    record = calibrate(people(100), PLAN).record
    assert record.points[-1].fmr == 2e-4
    assert [(rate.fmr, rate.needed) for rate in record.unsupported][:2] == [
        (1e-4, 30_000),
        (5e-5, 60_000),
    ]


def test_a_required_rate_is_an_error(people: People) -> None:
    with pytest.raises(UnsupportedRateError, match="3,000,000"):
        calibrate(people(100), replace(PLAN, required=(1e-6,)))


def test_a_tail_model_is_used_only_when_named_and_then_marked(people: People) -> None:
    record = calibrate(people(1300, photos=1).take(_twice(1300)), replace(PLAN, tail="gpd")).record
    modelled = [point for point in record.points if point.support == "gpd"]
    assert {point.fmr for point in modelled} == {2e-6, 1e-6}
    assert record.unsupported == ()
    thresholds = [point.threshold for point in record.points]
    assert thresholds == sorted(thresholds)


def _twice(count: int) -> np.ndarray:
    """All rows, the first one twice, so that there is a genuine pair."""
    return np.r_[0, np.arange(count)]


def test_groups_meet_the_common_threshold_with_their_own_rates(people: People) -> None:
    wide, narrow = people(150, dim=32, seed=1), people(150, dim=8, seed=2)
    features = _joined(wide, narrow)
    record = calibrate(features, PLAN).record
    rates = {group.name: group.points[3].measured_fmr for group in record.groups}
    assert rates["narrow"] > 2 * record.points[3].fmr > rates["wide"]
    disparity = record.disparities[1]
    low, high = (group.points[1].measured_fmr for group in reversed(record.groups))
    assert disparity.fmr_ratio == pytest.approx(high / low)
    assert disparity.fmr_over_mean == pytest.approx((high / low) ** 0.5)


def _joined(wide: LabelledFeatures, narrow: LabelledFeatures) -> LabelledFeatures:
    padded = np.pad(narrow.features_ND, ((0, 0), (0, 24)))
    return replace(
        wide,
        features_ND=np.concatenate([wide.features_ND, padded]),
        subjects_N=np.concatenate([wide.subjects_N, narrow.subjects_N + 150]),
        names=wide.names + narrow.names,
        groups_N=np.array(["wide"] * 300 + ["narrow"] * 300),
    )


def test_failures_are_counted_apart(people: People) -> None:
    features = replace(people(50), attempts=labels.Attempts(110, undecodable=1, undetected=7))
    data = calibrate(features, PLAN).record.data
    assert (data.photos, data.images) == (110, 100)
    assert (data.failures_to_decode, data.failures_to_detect, data.failures_to_enrol) == (1, 7, 0)


def test_a_list_of_pairs_is_measured_as_listed(people: People) -> None:
    features = people(50)
    left, right = np.arange(0, 100, 2), np.arange(1, 101, 2)
    strangers = np.roll(left, 2)
    pairs = ListedPairs(
        features.unit(), features.subjects_N, np.r_[left, left], np.r_[right, strangers]
    )
    data = calibrate(features, PLAN, pairs).record.data
    assert (data.genuine, data.impostor, data.comparisons) == (50, 50, "listed pairs")


def test_features_survive_their_file(people: People, tmp_path: Path) -> None:
    features = replace(people(5), groups_N=np.array(["a", ""] * 5))
    labels.save(features, tmp_path / "f.npz")
    again = labels.load(tmp_path / "f.npz")
    np.testing.assert_array_equal(again.features_ND, features.features_ND)
    np.testing.assert_array_equal(again.groups_N, features.groups_N)
    assert again.names == features.names
    assert again.attempts == features.attempts


def test_pickled_features_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", features=np.array([object()]), subjects=np.array(["a"]))
    with pytest.raises(ValueError, match="allow_pickle"):
        labels.load(tmp_path / "f.npz")


def test_features_of_a_wrong_shape_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", features=np.ones((3, 4)), subjects=np.array(["a", "b"]))
    with pytest.raises(CalibrationError, match="subjects: shape"):
        labels.load(tmp_path / "f.npz")
