"""Strangers against galleries of three orders of magnitude, on synthetic features."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import RateUnsupportedError
from app.rates.own import OwnRates, departure, own_rates
from export.calibrate.comparisons import AllPairs
from export.calibrate.counts import count
from export.rates import fmr_from_fpir

DIM = 24
RAW_COSINE = 0.4
"""What peers search with by default, whatever the gallery's size."""


def _people(count: int, seed: int) -> NDArray[np.float32]:
    """Unit features with unequal spread: some people resemble many (a shared direction)."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, DIM)).astype(np.float32)
    vectors[:, 0] += random.gamma(0.3, 1.5, count).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _fpir(gallery: NDArray[np.float32], threshold: float, strangers: int = 4000) -> float:
    probes = _people(strangers, seed=99)
    top = np.concatenate(
        [
            (probes[start : start + 250] @ gallery.T).max(axis=1)
            for start in range(0, strangers, 250)
        ]
    )
    return float((top >= threshold).mean())


@pytest.fixture(scope="module")
def calibrated() -> AllPairs:
    """4,000 people, two of whose photos are one person's: 8 million impostor pairs."""
    unit = _people(4000, seed=1)
    subjects = np.arange(4000, dtype=np.int32)
    subjects[1] = 0
    return AllPairs(unit, subjects)


@pytest.mark.parametrize("size", [30, 300, 3_000, 20_000])
def test_measured_fpir_stays_at_or_under_the_asked_one(size: int, calibrated: AllPairs) -> None:
    asked = 0.05
    threshold = count(calibrated).threshold(fmr_from_fpir(asked, size))
    # 4,000 strangers: three standard errors of a rate of 5% are 1%.
    assert _fpir(_people(size, seed=2), threshold) <= asked + 0.01


def test_a_fixed_cosine_calls_every_stranger_somebody_in_a_large_gallery() -> None:
    rates = [_fpir(_people(size, seed=2), 0.7) for size in (20, 200, 2_000, 20_000)]
    assert rates == sorted(rates)
    assert rates[0] < 0.03
    assert rates[-1] > 0.5
    assert _fpir(_people(20_000, seed=2), RAW_COSINE) == 1.0


def test_the_gallerys_own_strangers_give_the_asked_rate() -> None:
    gallery = _people(3000, seed=3)
    own = own_rates(gallery, np.arange(3000))
    for asked in (0.3, 0.05, 0.01):
        found = own.threshold(asked, 3000)
        measured = _fpir(gallery, found.value)
        assert found.interval.low * 0.8 <= measured <= found.interval.high * 1.25


def test_own_intervals_cover_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(60):
        own = own_rates(_people(400, seed=1000 + seed), np.arange(400), seed)
        found = own.threshold(0.05, 400)
        # The truth for this threshold: strangers against many other galleries of this size.
        truth = np.mean([_fpir(_people(400, seed=5000 + k), found.value, 1000) for k in range(3)])
        covered += found.interval.low <= truth <= found.interval.high
    assert covered >= 54


def test_a_grown_gallery_needs_a_higher_threshold() -> None:
    own = own_rates(_people(2000, seed=4), np.arange(2000))
    thresholds = [own.threshold(0.1, faces).value for faces in (2000, 4000, 20_000)]
    assert thresholds == sorted(set(thresholds))
    assert _fpir(_people(20_000, seed=5), thresholds[-1]) <= 0.13


def test_faces_of_the_same_person_are_no_strangers() -> None:
    unit = np.repeat(_people(300, seed=6), 2, axis=0)
    own = own_rates(unit, np.repeat(np.arange(300), 2))
    assert len(own.top_M) == 300
    assert own.top_M.max() < 0.999


def test_too_few_people_are_refused() -> None:
    own = own_rates(_people(100, seed=7), np.arange(100))
    assert not own.supports(0.01, 100)
    with pytest.raises(RateUnsupportedError, match="300 people"):
        own.threshold(0.01, 100)
    with pytest.raises(RateUnsupportedError, match="no strangers"):
        own_rates(_people(2, seed=7), np.zeros(2, dtype=np.intp))


def test_a_departure_from_the_package_is_noticed() -> None:
    own = OwnRates(np.linspace(0.2, 0.6, 2000, dtype=np.float32), faces=2000, subjects=2000)
    assert not departure(own, package_threshold=0.596, fpir=0.01).departs
    far = departure(own, package_threshold=0.5, fpir=0.01)
    assert far.departs
    assert far.measured == pytest.approx(0.25, abs=0.01)


def test_those_set_aside_widen_the_interval_and_forbid_rates_below_their_share() -> None:
    top = np.linspace(0.2, 0.6, 2000, dtype=np.float32)
    plain = OwnRates(top, faces=2000, subjects=2000)
    aside = OwnRates(top, faces=2000, subjects=2000, set_aside=30)
    assert plain.supports(0.01, 2000)
    assert not aside.supports(0.01, 2000)
    assert aside.supports(0.02, 2000)
    found, same = aside.threshold(0.05, 2000), plain.threshold(0.05, 2000)
    assert found.value == same.value
    assert found.interval.low == same.interval.low
    assert found.interval.high > same.interval.high + 0.01
    with pytest.raises(RateUnsupportedError, match="30 that may be enrolled twice"):
        aside.threshold(0.01, 2000)
