import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.degrade import DEGRADATIONS, degrade

Image = NDArray[np.uint8]


def distance(a: Image, b: Image) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_more_strength_is_further_from_the_original(name: str, image: Image) -> None:
    steps = [
        np.mean(
            [distance(image, degrade(image, name, s, np.random.default_rng(i))) for i in range(8)]
        )
        for s in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert steps[0] == 0.0
    assert np.all(np.diff(steps) > 0), steps
    assert steps[-1] > 5.0


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_results_are_images_and_the_original_is_left_alone(name: str, image: Image) -> None:
    before = image.copy()
    result = degrade(image, name, 0.7, np.random.default_rng(0))
    assert result.dtype == np.uint8
    assert result.shape == image.shape
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_degradation_is_a_function_of_its_generator(name: str, image: Image) -> None:
    first, again = (degrade(image, name, 0.7, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_noise_has_the_promised_deviation() -> None:
    grey = np.full((112, 112, 3), 128, np.uint8)
    noisy = degrade(grey, "noise", 0.25, np.random.default_rng(0)).astype(float)
    assert noisy.mean() == pytest.approx(128.0, abs=0.5)
    assert noisy.std() == pytest.approx(15.0, rel=0.02)


def test_jpeg_keeps_the_colour_order() -> None:
    red = np.zeros((112, 112, 3), np.uint8)
    red[..., 0] = 200
    result = degrade(red, "jpeg", 0.2, np.random.default_rng(0))
    assert result[..., 0].mean() > 190
    assert result[..., 2].mean() < 10
