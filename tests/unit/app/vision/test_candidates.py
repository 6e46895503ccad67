"""Suppression and overlap against the slowest code that could be right."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.vision.candidates import MAX_CANDIDATES, Candidates, centres, iou, join, suppress

Array = NDArray[np.float32]
Box = tuple[float, float, float, float]


def overlap(a: Box, b: Box) -> float:
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inner = across * down
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner
    return inner / union if union > 0 else 0.0


def slow_suppress(boxes: list[Box], scores: list[float], limit: float) -> list[int]:
    kept: list[int] = []
    for n in sorted(range(len(boxes)), key=lambda n: -scores[n]):
        if all(overlap(boxes[n], boxes[better]) <= limit for better in kept):
            kept.append(n)
    return kept


def candidates(boxes: list[Box], scores: list[float]) -> Candidates:
    """Each candidate's landmarks hold its number."""
    numbers = np.arange(len(boxes), dtype=np.float32)
    return Candidates(
        np.array(scores, dtype=np.float32),
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.broadcast_to(numbers[:, None, None], (len(boxes), 5, 2)),
    )


def box(draw: st.DrawFn) -> Box:
    """On a coarse grid, so that many overlap and many touch."""
    left, top = draw(st.integers(-4, 12)), draw(st.integers(-4, 12))
    return left, top, left + draw(st.integers(1, 9)), top + draw(st.integers(1, 9))


BOXES = st.lists(st.composite(box)(), max_size=25)


@settings(max_examples=150, deadline=None)
@given(BOXES, st.randoms(use_true_random=False), st.sampled_from([0.15, 0.31, 0.45, 0.72]))
def test_suppression_is_the_greedy_one(boxes: list[Box], random: Random, limit: float) -> None:
    scores = [random.choice([0.25, 0.5, 0.625, 0.75, 0.875]) for _ in boxes]
    found = suppress(candidates(boxes, scores), limit)
    expected = slow_suppress(boxes, scores, limit)
    assert found.landmarks[:, 0, 0].astype(int).tolist() == expected
    assert found.scores.tolist() == [scores[n] for n in expected]


@settings(max_examples=100, deadline=None)
@given(BOXES, BOXES)
def test_iou_is_inner_over_union(a: list[Box], b: list[Box]) -> None:
    found = iou(candidates(a, [1.0] * len(a)).boxes, candidates(b, [1.0] * len(b)).boxes)
    assert found.shape == (len(a), len(b))
    for row, one in enumerate(a):
        for column, other in enumerate(b):
            assert found[row, column] == pytest.approx(overlap(one, other), abs=1e-6)


def test_boxes_without_area_overlap_nothing() -> None:
    found = iou(np.zeros((1, 4), np.float32), np.array([[0, 0, 0, 0], [0, 0, 2, 2]], np.float32))
    np.testing.assert_array_equal(found, [[0, 0]])


def test_overlap_of_exactly_the_limit_stays() -> None:
    boxes: list[Box] = [(0, 0, 2, 1), (0, 0, 1, 1)]
    assert len(suppress(candidates(boxes, [0.9, 0.8]), 0.5).scores) == 2
    assert len(suppress(candidates(boxes, [0.9, 0.8]), 0.49).scores) == 1


def test_of_too_many_the_best_count() -> None:
    count = MAX_CANDIDATES + 50
    boxes: list[Box] = [(3 * n, 0, 3 * n + 2, 2) for n in range(count)]
    scores = np.random.default_rng(0).permutation(count) / count
    found = suppress(candidates(boxes, scores.tolist()), 0.4)
    assert len(found.scores) == MAX_CANDIDATES
    assert found.scores.min() >= 50 / count


def test_nothing_stays_nothing() -> None:
    assert len(suppress(candidates([], []), 0.4).scores) == 0


def test_scaling_and_joining() -> None:
    one, two = (
        candidates([(0, 2, 4, 6)], [0.5]),
        candidates([(1, 1, 2, 2), (3, 3, 4, 5)], [0.7, 0.6]),
    )
    joined = join([one, two])
    np.testing.assert_array_equal(joined.boxes[:, 3], [6, 2, 5])
    doubled = joined.scaled(2)
    np.testing.assert_array_equal(doubled.boxes, joined.boxes * 2)
    np.testing.assert_array_equal(doubled.landmarks, joined.landmarks * 2)
    np.testing.assert_array_equal(doubled.scores, joined.scores)


def test_centres_run_row_by_row() -> None:
    points = centres((16, 24), 8, anchors=2).tolist()
    assert points[::2] == points[1::2]
    assert points[::2] == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]
