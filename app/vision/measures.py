"""What can be measured on an aligned crop and five landmarks, without any network."""

import cv2
import numpy as np
from numpy.typing import NDArray

_INNER = 0.2
"""Share of the crop's side left out at each border: mostly background and hair."""


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


def _inner_luma(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    border = round(crop.shape[0] * _INNER)
    inner = crop[border:-border, border:-border]
    return np.asarray(cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
