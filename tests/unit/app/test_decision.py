from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from app import decision
from app.domain import (
    Box,
    Embedding,
    Face,
    IdentifyThreshold,
    Image,
    Observation,
    Quality,
    Timings,
    Verdict,
    VerifyThreshold,
)
from app.errors import (
    CalibrationMissingError,
    ContractMismatchError,
    InputError,
    RateUnsupportedError,
)
from app.rates.own import OwnRates
from export.tables import Calibration, CalibrationData, OperatingPoint, PairScoring


@pytest.fixture
def calibration() -> Calibration:
    """FMR 1e-1 … 1e-5 at cosines 0.1 … 0.5."""
    points = [
        OperatingPoint(
            fmr=10.0**-power,
            threshold=power / 10,
            measured_fmr=10.0**-power,
            fmr_interval=(0.9 * 10.0**-power, 1.1 * 10.0**-power),
            fnmr=power / 100,
            fnmr_interval=(0, 1),
        )
        for power in range(1, 6)
    ]
    data = CalibrationData(
        name="made up", subjects=900, images=1800, genuine=900, impostor=1_000_000,
        failures_to_detect=0, detector="none",
    )  # fmt: skip
    return Calibration(
        contract_id="c1", measured=datetime.now(UTC), data=data, interval="95%", points=points
    )


def _seen(feature: list[float], quality: float | None = None, contract: str = "c1") -> Observation:
    raw = np.asarray(feature, dtype=np.float32)
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    return Observation(
        image=Image(pixels, "png", 2, 2),
        face=Face(Box(0, 0, 1, 1), 1.0, np.zeros((5, 2), dtype=np.float32)),
        face_count=1,
        embedding=Embedding(raw, float(np.linalg.norm(raw)), contract),
        quality=Quality(1.0, quality, "norm", ()),
        timings=Timings(),
    )


def _at(cosine: float) -> list[float]:
    return [cosine, float(np.sqrt(1 - cosine**2))]


def test_the_threshold_is_of_the_loosest_rate_within_the_asked(calibration: Calibration) -> None:
    assert decision.threshold_at(calibration, 1e-3).value == 0.3
    assert decision.threshold_at(calibration, 5e-4).value == 0.4
    assert decision.threshold_at(calibration, 5e-4).fmr == 1e-4


def test_a_rate_beyond_the_data_is_refused(calibration: Calibration) -> None:
    with pytest.raises(RateUnsupportedError, match="needs 3,000,000"):
        decision.threshold_at(calibration, 1e-6)
    with pytest.raises(CalibrationMissingError):
        decision.threshold_at(None, 1e-3)


@pytest.mark.parametrize(
    ("cosine", "verdict"),
    [(0.45, Verdict.MATCH), (0.35, Verdict.INCONCLUSIVE), (0.25, Verdict.NO_MATCH)],
)
def test_three_answers_where_the_policy_has_a_zone(
    cosine: float, verdict: Verdict, calibration: Calibration
) -> None:
    strict = decision.threshold_at(calibration, 1e-4)
    zoned = decision.with_review(strict, calibration, 1e-3)
    a, b = _seen([1.0, 0.0]), _seen(_at(cosine))
    assert decision.decide(a, b, zoned, identical=False).verdict is verdict
    plain = decision.decide(a, b, strict, identical=False)
    assert plain.verdict is (Verdict.MATCH if verdict is Verdict.MATCH else Verdict.NO_MATCH)
    assert plain.match == (verdict is Verdict.MATCH)


def test_the_zone_lies_below_the_match(calibration: Calibration) -> None:
    with pytest.raises(InputError, match="looser"):
        decision.with_review(decision.threshold_at(calibration, 1e-3), calibration, 1e-4)


def test_features_of_two_contracts_never_meet() -> None:
    given = decision.threshold_given(0.4)
    with pytest.raises(ContractMismatchError):
        decision.decide(_seen([1, 0]), _seen([1, 0], contract="c2"), given, identical=False)


SCORING = PairScoring(
    slope=1, offset=-0.6, fmr=1e-4, fnmr_plain=0.1, fnmr_aware=0.05,
    gain_interval=(0.01, 0.09), kept=True,
)  # fmt: skip


def test_quality_aware_scores_meet_the_threshold_and_the_cosine_is_still_told(
    calibration: Calibration,
) -> None:
    limit = decision.threshold_at(calibration, 1e-4)
    good = decision.decide(_seen([1, 0], 90), _seen(_at(0.45), 95), limit, False, SCORING)
    poor = decision.decide(_seen([1, 0], 10), _seen(_at(0.45), 95), limit, False, SCORING)
    assert good.similarity == poor.similarity == pytest.approx(0.45)
    assert good.score == pytest.approx(0.45 - 0.15 * 0.9)
    assert (good.verdict, poor.verdict) == (Verdict.NO_MATCH, Verdict.MATCH)


def test_a_cosine_given_is_held_against_the_cosine() -> None:
    given = decision.threshold_given(0.4)
    found = decision.decide(_seen([1, 0], 90), _seen(_at(0.45), 95), given, False, SCORING)
    assert (found.score, found.verdict) == (found.similarity, Verdict.MATCH)


def test_a_search_goes_by_the_table_of_cosines(calibration: Calibration) -> None:
    lower = [
        point.model_copy(update={"threshold": point.threshold - 0.05})
        for point in calibration.points
    ]
    aware = calibration.model_copy(
        update={"scoring": SCORING, "points": lower, "cosine_points": tuple(calibration.points)}
    )
    plain = decision.identify_at(calibration, 0.01, 100)
    assert decision.identify_at(aware, 0.01, 100) == plain
    assert decision.threshold_at(aware, 1e-4).value < plain.value
    with pytest.raises(CalibrationMissingError, match="quality-aware scores alone"):
        decision.identify_at(aware.model_copy(update={"cosine_points": ()}), 0.01, 100)


def test_a_search_threshold_rises_with_the_gallery(calibration: Calibration) -> None:
    found = [decision.identify_at(calibration, 0.01, faces) for faces in (1, 10, 100, 1000)]
    assert [threshold.value for threshold in found] == [0.2, 0.3, 0.4, 0.5]
    assert found[2].fmr == 1e-4
    low, high = found[2].fpir_interval or (0.0, 0.0)
    assert low < 0.01 < high


def test_a_gallery_too_large_for_the_data_is_refused_with_what_it_needs(
    calibration: Calibration,
) -> None:
    with pytest.raises(RateUnsupportedError, match=r"among 100,000 faces needs fmr=1e-07"):
        decision.identify_at(calibration, 0.01, 100_000)


def test_the_gallerys_own_strangers_and_the_package_are_held_to_the_stricter(
    calibration: Calibration,
) -> None:
    alike = OwnRates(np.linspace(0, 0.6, 1000, dtype=np.float32), faces=100, subjects=100)
    found = decision.identify_at(calibration, 0.01, 100, alike)
    assert found.source == "gallery"
    assert found.value == pytest.approx(0.594, abs=2e-3)
    distinct = replace(alike, top_M=alike.top_M / 2)
    assert decision.identify_at(calibration, 0.01, 100, distinct).source == "calibration"
    few = replace(alike, top_M=alike.top_M[-50:])
    assert decision.identify_at(calibration, 0.01, 100, few).source == "calibration"


def test_a_large_gallery_stands_on_its_own_strangers(calibration: Calibration) -> None:
    own = OwnRates(np.linspace(0, 0.6, 1000, dtype=np.float32), faces=100_000, subjects=100_000)
    assert decision.identify_at(calibration, 0.01, 100_000, own).source == "gallery"
    assert decision.identify_at(None, 0.01, 100_000, own).source == "gallery"


@pytest.mark.parametrize("fpir", [5e-324, 1e-300, 1e-17])
def test_a_rate_next_to_nothing_is_refused_whoever_speaks(
    fpir: float, calibration: Calibration
) -> None:
    own = OwnRates(np.linspace(0, 0.6, 1000, dtype=np.float32), faces=100, subjects=100)
    for strangers in (None, own):
        with pytest.raises(RateUnsupportedError):
            decision.identify_at(calibration, fpir, 100, strangers)


def test_one_to_one_and_one_to_many_thresholds_are_different_types() -> None:
    assert not issubclass(IdentifyThreshold, VerifyThreshold)
    assert not issubclass(VerifyThreshold, IdentifyThreshold)
