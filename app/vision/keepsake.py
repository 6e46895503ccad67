"""A face cut out of its photo so that other recognisers can cut their own crops from it later.

It is the ArcFace crop with a margin around, on the same grid and without loss: a crop by that
template from the keepsake is the crop from the photo, but for a rounding here and there.
"""

import io
from dataclasses import dataclass, field

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from app.domain import Box, Face, Image
from app.vision.align import align
from export.contract import ARCFACE_112, AlignmentTemplate, similarity_transform

MARGIN = 24
"""Pixels on each side: room for templates that show more of the head."""

_POINTS = 5
_LANDMARK_BYTES = _POINTS * 2 * 4
KEEPSAKE = AlignmentTemplate(
    name="keepsake",
    size=ARCFACE_112.size + 2 * MARGIN,
    points=tuple((x + MARGIN, y + MARGIN) for x, y in ARCFACE_112.points),
)


@dataclass(frozen=True, slots=True)
class Keepsake:
    """`pixels` is uint8 RGB (size, size, 3), `landmarks` float32 (5, 2) in its coordinates."""

    pixels: NDArray[np.uint8] = field(repr=False)
    landmarks: NDArray[np.float32] = field(repr=False)

    def crop(self, template: AlignmentTemplate) -> NDArray[np.uint8]:
        """As `align` would cut it from the photo: uint8 RGB (size, size, 3)."""
        side = self.pixels.shape[0]
        face = Face(Box(0, 0, side, side), 1.0, self.landmarks)
        return align(Image(self.pixels, "webp", side, side), face, template)


def keepsake(image: Image, face: Face) -> Keepsake:
    """Raises InferenceInvalidError as `align` does."""
    pixels = align(image, face, KEEPSAKE)
    landmarks = face.landmarks.astype(np.float64) * image.scale
    matrix = similarity_transform(landmarks.astype(np.float32), KEEPSAKE)
    moved = landmarks @ matrix[:, :2].T + matrix[:, 2]
    return Keepsake(pixels, moved.astype(np.float32))


def packed(kept: Keepsake) -> bytes:
    """Landmarks (little-endian float32) and a lossless WebP."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(kept.pixels).save(buffer, "WEBP", lossless=True, quality=20, method=1)
    return kept.landmarks.astype("<f4").tobytes() + buffer.getvalue()


def webp(data: bytes) -> bytes:
    """The picture of what `packed` gave."""
    return data[_LANDMARK_BYTES:]


def unpacked(data: bytes) -> Keepsake:
    """What `packed` gave."""
    landmarks = np.frombuffer(data[:_LANDMARK_BYTES], "<f4").reshape(_POINTS, 2)
    with PIL.Image.open(io.BytesIO(webp(data)), formats=("WEBP",)) as opened:
        return Keepsake(np.asarray(opened.convert("RGB")), landmarks.astype(np.float32))
