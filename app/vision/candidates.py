"""A detector network's decoded output, and suppression of doubles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

MAX_CANDIDATES = 2_000
"""More than any photo's faces, few enough that the worst picture costs a fraction of a second."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """N possible faces of one image: scores (N,), boxes (N, 4) as left, top, right, bottom, and
    landmarks (N, 5, 2); all in pixels of the image or canvas at hand."""

    scores: Array
    boxes: Array
    landmarks: Array

    def take(self, index: NDArray[np.intp]) -> "Candidates":
        return Candidates(self.scores[index], self.boxes[index], self.landmarks[index])

    def scaled(self, factor: float) -> "Candidates":
        """The same faces in an image `factor` times as large."""
        size = np.float32(factor)
        return Candidates(self.scores, self.boxes * size, self.landmarks * size)


Decoder = Callable[[Sequence[Array], int, tuple[int, int], float], list[Candidates]]
"""Raw outputs, batch size, canvas (height, width), score threshold → Candidates of each image."""


def join(parts: Sequence[Candidates]) -> Candidates:
    """All candidates of `parts`, in that order."""
    return Candidates(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
    )


@lru_cache(maxsize=256)
def centres(canvas: tuple[int, int], stride: int, anchors: int = 1) -> Array:
    """(x, y) of every location of a feature map, row by row, `anchors` times each."""
    rows, columns = np.mgrid[0 : canvas[0] // stride, 0 : canvas[1] // stride]
    points = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float32)
    found = np.repeat(points, anchors, axis=0)
    found.flags.writeable = False  # shared: there are few canvases
    return found


def suppress(candidates: Candidates, overlap: float) -> Candidates:
    """Greedy non-maximum suppression: best first, dropping what overlaps a better one by more
    than `overlap` (intersection over union). Of more than MAX_CANDIDATES the best count."""
    ranked = np.argsort(-candidates.scores, kind="stable")
    candidates = candidates.take(ranked[:MAX_CANDIDATES])
    boxes = candidates.boxes
    alive = np.ones(len(boxes), dtype=bool)
    for best in range(len(alive)):
        if alive[best]:
            # Row by row: a picture made to fire everywhere would fill gigabytes with all pairs.
            alive[best + 1 :] &= iou(boxes[best : best + 1], boxes[best + 1 :])[0] <= overlap
    return candidates.take(np.flatnonzero(alive))


def iou(a_N4: Array, b_M4: Array) -> Array:
    """Intersection over union of every box of `a` with every box of `b`, shape (N, M)."""
    top_left = np.maximum(a_N4[:, None, :2], b_M4[None, :, :2])
    bottom_right = np.minimum(a_N4[:, None, 2:], b_M4[None, :, 2:])
    inner = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    areas_a = (a_N4[:, 2:] - a_N4[:, :2]).prod(axis=1)
    areas_b = (b_M4[:, 2:] - b_M4[:, :2]).prod(axis=1)
    union = np.maximum(areas_a[:, None] + areas_b[None, :] - inner, 1e-9)
    return np.asarray(inner / union, dtype=np.float32)
