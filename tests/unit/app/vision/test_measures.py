import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain import Box, Face, Reason
from app.vision.measures import exposure, sharpness, turn, visible
from app.vision.quality import picture_reasons
from export.contract import ARCFACE_112

FRONTAL = ARCFACE_112.array()


@pytest.fixture
def crop() -> NDArray[np.uint8]:
    """Detail at several scales, mid grey on the whole."""
    random = np.random.default_rng(0)
    layers = [
        cv2.resize(random.normal(0, 18, (size, size, 3)), (112, 112)) for size in (7, 28, 56, 112)
    ]
    return np.clip(128 + sum(layers), 0, 255).astype(np.uint8)


def _face(landmarks: NDArray[np.float32] = FRONTAL) -> Face:
    return Face(Box(0, 0, 112, 112), 1.0, landmarks)


def test_sharpness_falls_with_blur(crop: NDArray[np.uint8]) -> None:
    blurred = [
        sharpness(np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma))) for sigma in (0.5, 1, 2, 4)
    ]
    assert [sharpness(crop), *blurred] == sorted([sharpness(crop), *blurred], reverse=True)


def test_exposure_follows_the_light(crop: NDArray[np.uint8]) -> None:
    low, high = exposure(crop)
    assert low < 128 < high
    assert exposure((crop // 4).astype(np.uint8))[1] == pytest.approx(high / 4, abs=1)


def test_turn_is_zero_in_front_and_signed_to_the_sides() -> None:
    assert turn(FRONTAL) == pytest.approx(0, abs=0.05)
    left, right = FRONTAL.copy(), FRONTAL.copy()
    left[2, 0] -= 15
    right[2, 0] += 15
    assert turn(left) == pytest.approx(-turn(right), abs=0.1)
    assert turn(right) > 0.5


def test_turn_does_not_mind_roll_and_size() -> None:
    turned = FRONTAL.copy()
    turned[2, 0] += 10
    angle = np.radians(40)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rolled = (3 * turned @ rotation.T).astype(np.float32)
    assert turn(rolled) == pytest.approx(turn(turned), abs=1e-3)


def test_what_is_visible_of_a_face_is_what_the_border_leaves() -> None:
    assert visible(FRONTAL, 112, 120) == 1
    middle = np.float32([56, 0])
    assert visible(FRONTAL - middle, 112, 120) == pytest.approx(0.5, abs=0.03)
    assert visible(FRONTAL + middle, 112, 120) == pytest.approx(0.5, abs=0.03)
    assert visible(FRONTAL - 4 * middle, 112, 120) == 0


def test_the_visible_part_turns_and_grows_with_the_face() -> None:
    """Lying on its side, half of the face is lost where half of its width was."""
    lying = 3 * FRONTAL[:, ::-1] * np.float32([1, -1]) + np.float32([0, 168])
    assert visible(lying, 360, 336) == pytest.approx(0.5, abs=0.03)
    assert visible(lying, 360, 10_000) == pytest.approx(0.5, abs=0.03)


def test_of_no_landmarks_nothing_can_be_said_to_be_visible() -> None:
    with pytest.raises(ValueError, match="coincide"):
        visible(np.full((5, 2), 7, dtype=np.float32), 100, 100)


def test_a_good_picture_has_no_reasons(crop: NDArray[np.uint8]) -> None:
    assert picture_reasons(crop, _face()) == []


def test_each_fault_has_its_reason(crop: NDArray[np.uint8]) -> None:
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), 6), dtype=np.uint8)
    dark = (crop * 0.2).astype(np.uint8)
    burnt = (200 + crop * 0.2).astype(np.uint8)
    profile = FRONTAL.copy()
    profile[2, 0] += 30
    assert picture_reasons(blurred, _face()) == [Reason.BLURRED]
    assert Reason.UNDER_EXPOSED in picture_reasons(dark, _face())
    assert Reason.OVER_EXPOSED in picture_reasons(burnt, _face())
    assert picture_reasons(crop, _face(profile)) == [Reason.EXTREME_POSE]


def test_landmarks_in_one_point_do_not_divide_by_zero() -> None:
    assert np.isfinite(turn(np.zeros((5, 2), dtype=np.float32)))
