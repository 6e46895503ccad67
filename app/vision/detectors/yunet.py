"""YuNet (Wu et al., MIR 2023): one anchor a location, centre and logarithmic size in strides."""

from collections.abc import Sequence

import numpy as np

from app.vision.candidates import Array, Candidates, centres, join

STRIDES = (8, 16, 32)


def decode(
    outputs: Sequence[Array], batch: int, canvas: tuple[int, int], threshold: float
) -> list[Candidates]:
    """Outputs in the order classes ×3, objectness ×3, boxes ×3, landmarks ×3, each (B, N, ·).

    The score is the geometric mean of class and objectness.
    """
    by_stride = [outputs[level :: len(STRIDES)] for level in range(len(STRIDES))]
    return [
        join(
            [
                _level([part[image] for part in parts], canvas, stride, threshold)
                for parts, stride in zip(by_stride, STRIDES, strict=True)
            ]
        )
        for image in range(batch)
    ]


def _level(
    parts: Sequence[Array], canvas: tuple[int, int], stride: int, threshold: float
) -> Candidates:
    classes, objectness, regressions, offsets = parts
    scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objectness[:, 0], 0, 1))
    kept = np.flatnonzero(scores >= threshold)
    points = centres(canvas, stride)[kept]
    middle = (points + regressions[kept, :2]) * stride
    half = np.exp(regressions[kept, 2:]) * (stride / 2)
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    landmarks = (points[:, None, :] + offsets[kept].reshape(-1, 5, 2)) * stride
    return Candidates(scores[kept], boxes, landmarks)
