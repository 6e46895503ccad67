"""Encoded crops to pixels: uint8, RGB, height × width × 3."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.source import DataError, FaceSource

Pixels = NDArray[np.uint8]
SIDE = 112

# One image per call and one process per core: threads inside OpenCV only contend (measured ×6).
cv2.setNumThreads(0)


def decode_rgb(data: bytes) -> Pixels:
    """Decode to RGB (H, W, 3) uint8. Raises DataError when the bytes are no image."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{len(data)} bytes could not be decoded as an image.")
    return np.asarray(image, dtype=np.uint8)


def decode_crop(data: bytes) -> Pixels:
    """Decode an aligned 112×112 crop. Raises DataError on another size: nothing is guessed."""
    image = decode_rgb(data)
    if image.shape[:2] != (SIDE, SIDE):
        raise DataError(
            f"a training image is {image.shape[1]}×{image.shape[0]}, not an aligned {SIDE}×{SIDE} "
            "crop: align raw photos first (norma data prepare)."
        )
    return image


def decode_all(source: FaceSource) -> Pixels:
    """Every crop of a source, (N, 112, 112, 3) uint8: 37.6 kB per image."""
    pixels = np.empty((len(source.labels), SIDE, SIDE, 3), dtype=np.uint8)
    for index in range(len(pixels)):
        pixels[index] = decode_crop(source.read(index))
    return pixels


def decoded_bytes(source: FaceSource) -> int:
    """The memory `decode_all` takes."""
    return len(source.labels) * SIDE * SIDE * 3
