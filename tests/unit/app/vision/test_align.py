"""Alignment against OpenCV's and scikit-image's own fits, and on landmarks that fit nothing."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage.transform import SimilarityTransform

from app.domain import Box, Face, Image
from app.errors import InferenceInvalidError
from app.vision.align import align
from export.contract import ARCFACE_112, RETAIL_128, AlignmentTemplate, similarity_transform
from tests.hostile import corpus

Points = NDArray[np.float32]
TEMPLATES = pytest.mark.parametrize("template", [ARCFACE_112, RETAIL_128], ids=lambda t: t.name)


def image(pixels: NDArray[np.uint8], scale: float = 1.0) -> Image:
    height, width = pixels.shape[:2]
    return Image(pixels, "png", round(width / scale), round(height / scale), scale)


def face(landmarks: Points) -> Face:
    return Face(Box(0, 0, 100, 100), 0.9, landmarks.astype(np.float32))


def moved(template: AlignmentTemplate, seed: int, noise: float) -> Points:
    """The template's points, turned, scaled, shifted and shaken."""
    random = np.random.default_rng(seed)
    angle, scale = random.uniform(-np.pi, np.pi), random.uniform(0.2, 5)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = scale * template.array() @ turn.T + random.uniform(-200, 200, 2)
    return (points + random.normal(0, noise * scale, points.shape)).astype(np.float32)


@TEMPLATES
@pytest.mark.parametrize("seed", range(20))
def test_the_fit_is_the_least_squares_one(template: AlignmentTemplate, seed: int) -> None:
    points = moved(template, seed, noise=4)
    expected = SimilarityTransform.from_estimate(points, template.array())
    found = similarity_transform(points, template)
    np.testing.assert_allclose(found, expected.params[:2], rtol=1e-4, atol=1e-3)


@TEMPLATES
@pytest.mark.parametrize("seed", range(10))
def test_on_points_that_fit_opencv_agrees(template: AlignmentTemplate, seed: int) -> None:
    """Its fit is robust, so the two differ where points are outliers."""
    points = moved(template, seed, noise=0)
    expected, _ = cv2.estimateAffinePartial2D(points, template.array())
    found = similarity_transform(points, template)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-2)


@TEMPLATES
def test_landmarks_land_where_the_template_says(template: AlignmentTemplate) -> None:
    """A dot painted on each landmark is found on the template's points of the crop."""
    points = (2 * template.array() + [60, 40]).astype(np.float32)
    pixels = np.zeros((400, 400, 3), dtype=np.uint8)
    for x, y in points:
        cv2.circle(pixels, (round(float(x)), round(float(y))), 4, (255, 255, 255), -1)
    crop = align(image(pixels), face(points), template)
    assert crop.shape == (template.size, template.size, 3)
    assert crop.dtype == np.uint8
    for x, y in template.points:
        assert crop[round(y), round(x)].min() > 200
    assert (crop > 128).any(axis=2).sum() < 150


def test_landmarks_are_pixels_of_the_image_as_it_was_sent() -> None:
    pixels = corpus.photo(300, 300)
    points = moved(ARCFACE_112, 1, noise=1) / 4 + 100
    whole = align(image(pixels), face(points), ARCFACE_112)
    halved = align(image(pixels, scale=0.5), face(points * 2), ARCFACE_112)
    np.testing.assert_array_equal(whole, halved)


def test_what_lies_beyond_the_border_is_black() -> None:
    bright = np.full((112, 112, 3), 200, dtype=np.uint8)
    shifted = ARCFACE_112.array() + np.float32([56, 0])
    crop = align(image(bright), face(shifted), ARCFACE_112)
    assert np.all(crop[:, :55] == 200)
    assert not crop[:, 57:].any()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value", [0.0, 37.5, -1e6, NAN, INF, -INF])
def test_b28_landmarks_in_one_point_or_nowhere(value: float) -> None:
    with pytest.raises(InferenceInvalidError, match="degenerate"):
        align(image(corpus.photo()), face(np.full((5, 2), value)), ARCFACE_112)


def test_b28_one_coordinate_that_is_not_finite() -> None:
    points = ARCFACE_112.array()
    points[3, 1] = np.nan
    with pytest.raises(InferenceInvalidError, match="degenerate"):
        align(image(corpus.photo()), face(points), ARCFACE_112)


@settings(max_examples=150, deadline=None)
@given(arrays(np.float32, (5, 2), elements=st.floats(width=32, allow_nan=True)))
def test_b28_any_landmarks_give_a_crop_or_our_error(points: Points) -> None:
    try:
        crop = align(image(corpus.photo(64, 64)), face(points), ARCFACE_112)
    except InferenceInvalidError:
        return
    assert crop.shape == (112, 112, 3)
