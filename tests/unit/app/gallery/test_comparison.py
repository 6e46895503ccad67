"""Two recognisers held against each other on the same faces, counted by hand."""

import numpy as np
import pytest

from app.gallery.comparison import compare

SUBJECTS = np.array([1, 1, 2, 2, 3], np.int64)


def features(*degrees: float) -> "np.ndarray":
    """Directions in a plane, of various lengths, which must not matter."""
    turns = np.radians(np.array(degrees))
    lengths = np.arange(1, len(degrees) + 1)[:, None]
    return (np.stack([np.cos(turns), np.sin(turns)], axis=1) * lengths).astype(np.float32)


def test_who_is_nearest_is_counted_on_both_sides() -> None:
    here = features(0, 10, 90, 100, 180)
    there = features(0, 80, 90, 170, 185)  # the second and fourth are nearer to someone else
    found = compare(here, there, SUBJECTS)
    assert (found.faces, found.subjects, found.mated) == (5, 3, 4)
    assert (found.right_here, found.right_there) == (4, 1)
    assert found.agree == 2  # the first, and the last, to which subject 2 is nearest on both


def test_the_shift_is_that_of_the_same_pairs() -> None:
    here, there = features(0, 60, 90, 150, 200), features(0, 90, 120, 210, 300)
    found = compare(here, there, SUBJECTS)
    assert (found.genuine.pairs, found.impostor.pairs) == (2, 8)
    assert found.genuine.mean_here == pytest.approx(0.5)
    assert found.genuine.mean_there == pytest.approx(0, abs=1e-6)


def test_thresholds_keep_the_rate_and_are_given_only_where_supported() -> None:
    random = np.random.default_rng(0)
    centres = random.standard_normal((40, 16))
    subjects = np.repeat(np.arange(40), 2)
    here = (centres[subjects] + 0.1 * random.standard_normal((80, 16))).astype(np.float32)
    there = random.standard_normal((80, 24)).astype(np.float32)
    found = compare(here, there, subjects)
    pairs = found.impostor.pairs
    assert pairs == 80 * 79 // 2 - 40
    assert [one.fmr for one in found.at] == [1e-1, 1e-2, 1e-3]
    unit = here / np.linalg.norm(here, axis=1, keepdims=True)
    different = np.triu(subjects[:, None] != subjects[None, :])
    scores = (unit @ unit.T)[different]
    for one in found.at:
        assert (scores >= one.threshold_here).sum() == int(one.fmr * pairs)
    assert found.at[1].fnmr_here == 0
    assert found.at[1].fnmr_there is not None
    assert found.at[1].fnmr_there > 0.9


def test_people_with_one_face_each_have_no_genuine_pairs() -> None:
    found = compare(features(0, 50), features(0, 50), np.array([1, 2], np.int64))
    assert (found.mated, found.genuine.pairs, found.genuine.mean_here) == (0, 0, None)
