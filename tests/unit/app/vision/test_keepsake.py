"""What a vault keeps of a photo gives the crops that the photo gives."""

import numpy as np
import pytest

from app.domain import Box, Face, Image
from app.errors import InferenceInvalidError
from app.vision.align import align
from app.vision.keepsake import KEEPSAKE, keepsake, packed, unpacked
from export.contract import ARCFACE_112, RETAIL_128


def photo(seed: int, scale: float = 1.0) -> tuple[Image, Face]:
    """A picture with something on every pixel, and five points as a detector gives them."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (480, 640, 3), np.uint8)
    angle, size = random.uniform(-0.6, 0.6), random.uniform(0.5, 3)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (ARCFACE_112.array() - 56) @ turn.T * size + random.uniform(150, 350, 2)
    points = (points + random.normal(0, 2 * size, points.shape)) / scale
    image = Image(pixels, "jpeg", round(640 / scale), round(480 / scale), scale)
    return image, Face(Box(0, 0, 1, 1), 0.9, points.astype(np.float32))


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("seed", range(10))
def test_the_arcface_crop_is_the_photos_own_but_for_roundings(seed: int, scale: float) -> None:
    image, face = photo(seed, scale)
    kept = unpacked(packed(keepsake(image, face)))
    again = kept.crop(ARCFACE_112).astype(int)
    apart = np.abs(again - align(image, face, ARCFACE_112))
    assert apart.max() <= 1
    assert apart.mean() < 0.01


def test_another_templates_crop_is_cut_from_the_same_place() -> None:
    rows, columns = np.mgrid[0:480, 0:640]
    smooth = np.stack([rows / 2, columns / 3, (rows + columns) / 5], axis=2).astype(np.uint8)
    _, face = photo(3)
    image = Image(smooth, "png", 640, 480)
    again = unpacked(packed(keepsake(image, face))).crop(RETAIL_128).astype(int)
    direct = align(image, face, RETAIL_128).astype(int)
    assert np.abs(again - direct).max() <= 3
    assert np.ptp(direct) > 20, "a flat picture would say nothing"


def test_there_is_a_margin_around_the_crop() -> None:
    image, face = photo(1)
    kept = keepsake(image, face)
    assert kept.pixels.shape == (KEEPSAKE.size, KEEPSAKE.size, 3) == (160, 160, 3)
    assert kept.pixels[:24].any()


def test_landmarks_that_fit_nothing_are_refused() -> None:
    image, face = photo(1)
    with pytest.raises(InferenceInvalidError):
        keepsake(image, Face(face.box, 0.9, np.full((5, 2), np.nan, np.float32)))
