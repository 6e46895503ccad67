"""SCRFD with keypoints (Guo et al., ICLR 2022): two anchors a location, distances in strides."""

from collections.abc import Sequence

import numpy as np

from app.errors import InferenceInvalidError
from app.vision.candidates import Array, Candidates, centres, join

STRIDES = (8, 16, 32)
_ANCHORS = 2


def decode(
    outputs: Sequence[Array], batch: int, canvas: tuple[int, int], threshold: float
) -> list[Candidates]:
    """Outputs in the order scores ×3, boxes ×3, landmarks ×3, one of each a stride.

    The graph flattens (height, width, batch, anchor), so the batch is an inner dimension.
    """
    by_stride = [outputs[level :: len(STRIDES)] for level in range(len(STRIDES))]
    return [
        join(
            [
                _level([_of_image(part, batch, image) for part in parts], canvas, stride, threshold)
                for parts, stride in zip(by_stride, STRIDES, strict=True)
            ]
        )
        for image in range(batch)
    ]


def split(outputs: Sequence[Array], batch: int) -> list[list[Array]]:
    """Each image's outputs, as if it had been alone. Raises InferenceInvalidError."""
    if any(output.size % (batch * _ANCHORS * output.shape[-1]) for output in outputs):
        raise InferenceInvalidError(f"{batch} images gave outputs that do not divide")
    return [[_of_image(part, batch, image) for part in outputs] for image in range(batch)]


def _of_image(part: Array, batch: int, image: int) -> Array:
    width = part.shape[-1]
    return part.reshape(-1, batch, _ANCHORS, width)[:, image].reshape(-1, width)


def _level(
    parts: Sequence[Array], canvas: tuple[int, int], stride: int, threshold: float
) -> Candidates:
    scores, distances, offsets = parts
    kept = np.flatnonzero(scores[:, 0] >= threshold)
    points = centres(canvas, stride, _ANCHORS)[kept] * stride
    reach = distances[kept] * stride
    boxes = np.concatenate([points - reach[:, :2], points + reach[:, 2:]], axis=1)
    landmarks = points[:, None, :] + offsets[kept].reshape(-1, 5, 2) * stride
    return Candidates(scores[kept, 0], boxes, landmarks)
