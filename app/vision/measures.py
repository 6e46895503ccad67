"""What can be measured on an aligned crop and five landmarks, without any network."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from export.contract import ARCFACE_112, similarity_transform

_INNER = 0.2
"""Share of the crop's side left out at each border: mostly background and hair."""

_OVAL_MIDDLE, _OVAL_RADII = (56, 66), (38, 48)
"""A face in the pixels of `ARCFACE_112`: from ear to ear, from hair to chin."""


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the aligned RGB crop's inner part, on luma 0–255.

    Measured after alignment, so that it sees the detail the recogniser gets: an upscaled small
    face is blurred here, whatever the photo's own sharpness.
    """
    return float(cv2.Laplacian(_inner_luma(crop), cv2.CV_32F).var())


def exposure(crop: NDArray[np.uint8]) -> tuple[float, float]:
    """The 10th and 90th percentile of the inner luma, 0–255: a face that is dark even in its
    lightest parts has a low 90th, one that is burnt out a high 10th."""
    low, high = np.percentile(_inner_luma(crop), [10, 90])
    return float(low), float(high)


def turn(landmarks_52: NDArray[np.float32]) -> float:
    """How far the head is turned, from −1 to 1 and beyond; 0 is frontal.

    The nose's offset from the middle between eyes and mouth corners, across the face, over half
    the distance of the eyes or of the mouth corners, whichever is larger. About the sine of the
    yaw for moderate angles; insensitive to roll and to scale.
    """
    eyes, mouth = landmarks_52[:2], landmarks_52[3:]
    across = (eyes[1] - eyes[0]) + (mouth[1] - mouth[0])
    across = across / max(float(np.linalg.norm(across)), 1e-6)
    middle = (eyes.mean(axis=0) + mouth.mean(axis=0)) / 2
    half = max(float((eyes[1] - eyes[0]) @ across), float((mouth[1] - mouth[0]) @ across)) / 2
    return float((landmarks_52[2] - middle) @ across) / max(half, 1e-6)


def visible(landmarks_52: NDArray[np.float32], width: int, height: int) -> float:
    """Part of the face's oval, as the landmarks place it, that lies inside the photo, in [0, 1].

    Not of its box: detectors shrink a cut face's box to what they see. Of 60 LFW faces cut by 40%
    at the left, right or top none had a fifth of its box outside; of its oval, four in five had.
    Raises ValueError when the landmarks coincide or are not finite.
    """
    matrix = similarity_transform(landmarks_52, ARCFACE_112)
    points = (_oval() - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    inside = (points >= 0) & (points <= (width, height))
    return float(inside.all(axis=1).mean())


@cache
def _oval() -> NDArray[np.float64]:
    """Points spread evenly over the oval, (N, 2)."""
    unit = np.stack(np.meshgrid(*[np.linspace(-1, 1, 33)] * 2), axis=-1).reshape(-1, 2)
    points = np.asarray(_OVAL_MIDDLE + unit[(unit**2).sum(axis=1) <= 1] * _OVAL_RADII)
    points.flags.writeable = False
    return points


def _inner_luma(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    border = round(crop.shape[0] * _INNER)
    inner = crop[border:-border, border:-border]
    return np.asarray(cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
