from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from export import tables as schema
from export.calibrate.labels import LabelledFeatures
from export.calibrate.table import Plan, calibrate
from export.quality.curve import Curve, fit_curve
from export.quality.record import QualityPlan, operating_point, quality_record

KnownQuality = Callable[..., LabelledFeatures]


def _record(
    features: LabelledFeatures, degraded: LabelledFeatures | None = None
) -> schema.QualityCurve:
    calibration = calibrate(features, Plan("synthetic", "none")).record
    return quality_record(features, calibration, QualityPlan("synthetic"), degraded)


def test_an_honest_norm_becomes_the_basis_and_beats_chance(known_quality: KnownQuality) -> None:
    record = _record(known_quality("honest"))
    norm, detector, sharpness, size = record.evidence[0].curves
    assert record.basis == "norm"
    assert norm.measure == "norm"
    assert norm.area < record.evidence[0].chance[0]
    assert norm.points[0].fnmr > norm.points[-1].fnmr
    assert sharpness.beats_chance  # here it is the quality itself
    assert not detector.beats_chance
    assert size.area == pytest.approx(1)  # constant: all leave together, none before 30%


@pytest.mark.parametrize("norm", ["silent", "lying"])
def test_a_norm_that_tells_nothing_or_lies_is_no_quality(
    norm: str, known_quality: KnownQuality
) -> None:
    record = _record(known_quality(norm))
    assert record.basis == "none"
    assert (record.gates.enrol, record.gates.query) == (0, 0)


def test_a_norm_that_lies_on_degraded_photos_is_no_quality(known_quality: KnownQuality) -> None:
    record = _record(known_quality("honest"), known_quality("lying", seed=1))
    assert [evidence.photos for evidence in record.evidence] == ["as given", "degraded"]
    assert record.basis == "none"


def test_a_norm_that_only_degradation_moves_is_a_quality(known_quality: KnownQuality) -> None:
    assert _record(known_quality("silent"), known_quality("honest", seed=1)).basis == "norm"


def test_without_misses_nothing_can_be_shown(known_quality: KnownQuality) -> None:
    features = known_quality("honest")
    same = np.repeat(np.arange(0, 600, 2), 2)
    record = _record(replace(features, features_ND=features.features_ND[same]))
    assert record.basis == "none"
    assert "no genuine comparison was missed" in str(record.reason)


def test_the_gates_refuse_the_asked_fractions(known_quality: KnownQuality) -> None:
    features = known_quality("honest")
    gates = _record(features).gates
    norms = features.norms()
    assert (norms < gates.enrol).mean() == pytest.approx(0.02, abs=0.002)
    assert (norms < gates.query).mean() == pytest.approx(0.005, abs=0.002)


def test_the_operating_point_has_ten_expected_errors(known_quality: KnownQuality) -> None:
    calibration = calibrate(known_quality("honest"), Plan("synthetic", "none")).record
    assert calibration.points[-1].fmr == 2e-5
    assert operating_point(calibration).fmr == 1e-4


def test_the_curve_puts_the_median_at_fifty() -> None:
    norms = np.random.default_rng(0).normal(20, 3, 10_000).astype(np.float32)
    curve = fit_curve(norms)
    low, middle, high = curve(np.quantile(norms, [0.05, 0.5, 0.95]).astype(np.float32))
    assert middle == pytest.approx(50, abs=0.1)
    assert (low, high) == (pytest.approx(5, abs=1), pytest.approx(95, abs=1))


def test_the_form_is_ofiqs() -> None:
    # OFIQ's own constants, and the values it gives (reference implementation of ISO/IEC 29794-5).
    ofiq = Curve(centre=23, width=2.6)
    given = ofiq(np.array([15, 20, 23, 25, 28, 30], dtype=np.float32))
    assert given.round().astype(int).tolist() == [4, 24, 50, 68, 87, 94]


def test_the_curve_neither_overflows_nor_turns() -> None:
    values = Curve(20, 0.01)(np.linspace(0, 1000, 5001).astype(np.float32))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()
