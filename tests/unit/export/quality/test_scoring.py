from collections.abc import Callable

import numpy as np
import pytest

from export.calibrate.comparisons import AllPairs
from export.calibrate.counts import count
from export.calibrate.labels import LabelledFeatures
from export.errors import CalibrationError
from export.quality.scoring import AwarePairs, aware, fit_scoring

KnownQuality = Callable[..., LabelledFeatures]


def _quality(features: LabelledFeatures) -> np.ndarray:
    return 2 * features.norms() / 20 - 1


def _helpful(known_quality: KnownQuality) -> LabelledFeatures:
    """Half of the people have good photos only, half poor ones."""
    return known_quality("honest", subjects=900, dim=128, by_person=True)


def test_scores_only_fall_and_most_between_good_photos() -> None:
    scores = np.array([0.2, 0.2, 0.8], dtype=np.float32)
    quality = np.array([0.1, 0.9, 0.9], dtype=np.float32)
    poor, good, alike = aware(scores, quality, slope=1.0, offset=-0.5)
    assert good < poor < 0.2
    assert alike == pytest.approx(0.8)


def test_a_silent_norm_is_not_kept(known_quality: KnownQuality) -> None:
    features = known_quality("silent", subjects=600)
    assert not fit_scoring(features, _quality(features), fmr=1e-3).kept


def test_an_honest_norm_is_kept_when_it_helps_on_other_people(known_quality: KnownQuality) -> None:
    features = _helpful(known_quality)
    found = fit_scoring(features, _quality(features), fmr=1e-3)
    assert found.kept
    assert found.fnmr_aware < found.fnmr_plain
    assert found.gain_interval[0] > 0


def test_the_reported_gain_is_what_aware_comparisons_measure(known_quality: KnownQuality) -> None:
    features = _helpful(known_quality)
    quality = _quality(features)
    found = fit_scoring(features, quality, fmr=1e-3)
    odd = np.flatnonzero(features.subjects_N % 2 == 1)
    plain = AllPairs(features.unit()[odd], features.subjects_N[odd])
    scored = count(AwarePairs(plain, quality[odd], found.slope, found.offset))
    assert scored.fnmr(scored.threshold(1e-3)) == pytest.approx(found.fnmr_aware, abs=0.005)


def test_too_few_people_are_refused(known_quality: KnownQuality) -> None:
    features = known_quality("honest", subjects=20)
    with pytest.raises(CalibrationError, match="too few"):
        fit_scoring(features, _quality(features), fmr=1e-3)
