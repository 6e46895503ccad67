"""SCRFD's and YuNet's arithmetic, cell by cell, against loops that follow the papers' layout."""

from collections.abc import Sequence
from math import exp, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from app.vision.candidates import Candidates
from app.vision.detectors import scrfd, yunet

Array = NDArray[np.float32]
CANVAS = (64, 96)
THRESHOLD = 0.5
STRIDES = (8, 16, 32)
Found = list[tuple[float, list[float], list[float]]]


def cells(stride: int) -> list[tuple[int, int]]:
    """(x, y) of every cell, row by row."""
    return [(x, y) for y in range(CANVAS[0] // stride) for x in range(CANVAS[1] // stride)]


def scrfd_outputs(batch: int, seed: int = 0) -> list[Array]:
    """Scores, boxes and landmarks of each stride, (height × width × batch × anchor, ·)."""
    random = np.random.default_rng(seed)
    outputs = []
    for low, high, width in ((0, 1, 1), (0, 4, 4), (-3, 3, 10)):
        for stride in STRIDES:
            rows = len(cells(stride)) * batch * 2
            outputs.append(random.uniform(low, high, (rows, width)).astype(np.float32))
    return outputs


def slow_scrfd(outputs: Sequence[Array], batch: int, image: int) -> Found:
    found: Found = []
    for level, stride in enumerate(STRIDES):
        scores, boxes, points = (outputs[level + 3 * part] for part in range(3))
        for cell, (x, y) in enumerate(cells(stride)):
            for anchor in range(2):
                row = (cell * batch + image) * 2 + anchor
                if scores[row, 0] < THRESHOLD:
                    continue
                left, top, right, bottom = boxes[row] * stride
                cx, cy = x * stride, y * stride
                box = [cx - left, cy - top, cx + right, cy + bottom]
                marks = [(cx, cy)[n % 2] + points[row, n] * stride for n in range(10)]
                found.append((float(scores[row, 0]), box, marks))
    return found


def yunet_outputs(batch: int, seed: int = 0) -> list[Array]:
    """Classes, objectness, boxes and landmarks of each stride, (batch, height × width, ·)."""
    random = np.random.default_rng(seed)
    outputs = []
    for low, high, width in ((-0.2, 1.2, 1), (-0.2, 1.2, 1), (-1, 1, 4), (-3, 3, 10)):
        for stride in STRIDES:
            shape = (batch, len(cells(stride)), width)
            outputs.append(random.uniform(low, high, shape).astype(np.float32))
    return outputs


def slow_yunet(outputs: Sequence[Array], batch: int, image: int) -> Found:
    found: Found = []
    for level, stride in enumerate(STRIDES):
        parts = [outputs[level + 3 * part][image] for part in range(4)]
        for (x, y), kind, there, box, points in zip(cells(stride), *parts, strict=True):
            score = sqrt(min(max(kind[0], 0), 1) * min(max(there[0], 0), 1))
            if score < THRESHOLD:
                continue
            cx, cy = (x + box[0]) * stride, (y + box[1]) * stride
            width, height = exp(box[2]) * stride, exp(box[3]) * stride
            corners = [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]
            marks = [((x, y)[n % 2] + points[n]) * stride for n in range(10)]
            found.append((score, corners, marks))
    return found


def assert_same(found: Candidates, expected: Found) -> None:
    assert len(found.scores) == len(expected) > 10
    np.testing.assert_allclose(found.scores, [score for score, _, _ in expected], atol=1e-5)
    np.testing.assert_allclose(found.boxes, [box for _, box, _ in expected], atol=1e-3)
    marks = np.array([marks for _, _, marks in expected]).reshape(-1, 5, 2)
    np.testing.assert_allclose(found.landmarks, marks, atol=1e-3)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_scrfd(batch: int) -> None:
    outputs = scrfd_outputs(batch)
    decoded = scrfd.decode(outputs, batch, CANVAS, THRESHOLD)
    assert len(decoded) == batch
    for image, found in enumerate(decoded):
        assert_same(found, slow_scrfd(outputs, batch, image))


def test_scrfd_of_one_image_may_keep_the_batch_in_front() -> None:
    outputs = scrfd_outputs(1)
    [flat] = scrfd.decode(outputs, 1, CANVAS, THRESHOLD)
    [batched] = scrfd.decode([output[None] for output in outputs], 1, CANVAS, THRESHOLD)
    np.testing.assert_array_equal(flat.boxes, batched.boxes)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_yunet(batch: int) -> None:
    outputs = yunet_outputs(batch)
    decoded = yunet.decode(outputs, batch, CANVAS, THRESHOLD)
    assert len(decoded) == batch
    for image, found in enumerate(decoded):
        assert_same(found, slow_yunet(outputs, batch, image))


def test_the_threshold_itself_is_enough_and_nan_is_not() -> None:
    scores = [np.zeros((len(cells(stride)) * 2, 1), dtype=np.float32) for stride in STRIDES]
    scores[0][:3, 0] = [THRESHOLD, np.nextafter(np.float32(THRESHOLD), np.float32(0)), np.nan]
    outputs = [*scores, *scrfd_outputs(1)[3:]]
    [found] = scrfd.decode(outputs, 1, CANVAS, THRESHOLD)
    assert found.scores.tolist() == [THRESHOLD]


def test_nothing_over_the_threshold_is_no_face() -> None:
    [found] = scrfd.decode(scrfd_outputs(1), 1, CANVAS, 2.0)
    assert (found.scores.shape, found.boxes.shape, found.landmarks.shape) == (
        (0,),
        (0, 4),
        (0, 5, 2),
    )
