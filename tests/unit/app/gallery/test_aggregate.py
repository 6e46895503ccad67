"""A subject's faces against one probe, scored as the caller scores."""

import numpy as np
import pytest

from app.gallery.aggregate import likeness
from app.gallery.types import Aggregate

PROBE = np.array([1.0, 0.0])
FACES = np.array([[6.0, 8.0], [8.0, 6.0], [0.0, 5.0]])
"""Cosines 0.6, 0.8 and 0 at norms 10, 10 and 5."""


def _plain(similarity: float, norm: float) -> float:
    return similarity


@pytest.mark.parametrize(("how", "expected"), [("max", 0.8), ("mean", 1.4 / 3)])
def test_without_quality_the_score_is_the_similarity(how: Aggregate, expected: float) -> None:
    found = likeness(PROBE, FACES, how, _plain)
    assert found.similarity == found.score == pytest.approx(expected)


def test_the_face_that_scores_highest_speaks() -> None:
    def score(similarity: float, norm: float) -> float:
        return similarity - 0.5 * (norm > 9) * (similarity > 0.7)

    found = likeness(PROBE, FACES, "max", score)
    assert (found.similarity, found.score) == (pytest.approx(0.6), pytest.approx(0.6))


def test_every_face_is_scored_by_its_own_norm() -> None:
    found = likeness(PROBE, FACES, "mean", lambda similarity, norm: norm)
    assert found.score == pytest.approx(25 / 3)


def test_a_summed_template_is_scored_once_by_the_weighted_norm() -> None:
    found = likeness(PROBE, FACES, "norm_weighted", lambda similarity, norm: norm)
    assert found.score == pytest.approx(225 / 25)
    total = FACES.sum(axis=0)
    assert found.similarity == pytest.approx(total[0] / np.linalg.norm(total))
