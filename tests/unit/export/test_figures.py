"""Figures of a network that is known: the average colour of a crop."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from export.embed import Crops
from export.figures import LabelledCrops, labelled_crops, measure_crops, measure_set
from models.data.source import Labels
from models.data.verification import VerificationSet


def _embed(crops: Crops) -> NDArray[np.float32]:
    """People differ in the direction of their colour; brightness is the norm."""
    return crops.mean(axis=(1, 2)).astype(np.float32) - 100


def _crop(colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.broadcast_to(np.clip(colour, 0, 255), (112, 112, 3)).astype(np.uint8)


def _people(noise: float) -> LabelledCrops:
    random = np.random.default_rng(0)
    colours = np.repeat(random.uniform(20, 230, (30, 3)), 4, axis=0)
    crops = np.stack([_crop(colour + random.normal(0, noise, 3)) for colour in colours])
    return LabelledCrops("colours", crops, np.repeat(np.arange(30), 4))


def test_every_crop_meets_every_other_and_intervals_are_over_subjects() -> None:
    found = measure_crops(_embed, _people(noise=15)).verification
    assert (found.images, found.subjects) == (120, 30)
    assert (found.genuine, found.impostor) == (30 * 6, 120 * 119 // 2 - 180)
    assert found.intervals_over == "subjects"
    assert found.accuracy is None
    assert 0.9 < found.auc < 1


def test_only_supported_rates_are_given() -> None:
    """6,960 impostors support FMR 1e-2 and 1e-3 (3,000), not 1e-4 (30,000)."""
    found = measure_crops(_embed, _people(noise=15)).verification
    assert [point.fmr for point in found.tar] == [1e-2, 1e-3]
    loose, strict = found.tar
    assert loose.threshold < strict.threshold
    assert loose.tar.low <= loose.tar.value <= loose.tar.high


def test_the_norm_is_judged_as_a_quality_at_the_strictest_rate_that_is_supported() -> None:
    found = measure_crops(_embed, _people(noise=15)).discard
    assert found is not None
    assert found.fmr == 1e-2  # ten expected false matches: 6,960 impostors do not give them at 1e-3
    assert found.fnmr_start > 0
    assert found.normalised == pytest.approx(found.raw / (found.fnmr_start * 0.3))


def test_a_verification_set_is_measured_by_its_own_folds() -> None:
    people = _people(noise=2)
    encoded = tuple(cv2.imencode(".png", crop[..., ::-1])[1].tobytes() for crop in people.pixels)
    first = np.arange(0, 120, 4)
    pairs = VerificationSet(
        images=encoded,
        names=tuple(map(str, range(120))),
        left=np.concatenate([first, first]),
        right=np.concatenate([first + 1, (first + 5) % 120]),
        same=np.arange(60) < 30,
        fold=np.arange(60) % 10,
    )
    found = measure_set(_embed, pairs, "pairs").verification
    assert (found.genuine, found.impostor, found.subjects) == (30, 30, None)
    assert found.intervals_over == "comparisons"
    assert found.accuracy is not None
    assert found.accuracy > 0.8
    assert found.tar == []


class _Source:
    """Five people with four images each, one colour for each image."""

    labels: Labels = np.repeat(np.arange(5), 4)
    classes = ("a", "b", "c", "d", "e")

    def read(self, index: int) -> bytes:
        return cv2.imencode(".png", _crop(np.full(3, 10.0 * index)))[1].tobytes()


def test_whole_people_are_chosen_until_there_are_enough() -> None:
    found = labelled_crops(_Source(), "five", count=8)
    assert found.pixels.shape == (8, 112, 112, 3)
    people, counts = np.unique(found.subjects, return_counts=True)
    assert counts.tolist() == [4, 4]
    assert set(found.pixels[:, 0, 0, 0] // 40) == set(people)
    np.testing.assert_array_equal(found.subjects, labelled_crops(_Source(), "five", 8).subjects)
