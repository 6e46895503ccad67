"""The fast tier beside the exact search, on the same view."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from app.gallery.index.codes import Queries
from app.gallery.index.engine import SearchEngine, Want
from app.gallery.index.fast import FastCoder, of_a_part
from app.gallery.index.projection import Projection

SEGMENT, DIM, FACES, SUBJECTS = 512, 64, 5, 1500


@pytest.fixture
def engine() -> Iterator[SearchEngine]:
    engine = SearchEngine(2)
    yield engine
    engine.close()


def people(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Faces of people, side by side as they are enrolled, and whose they are."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.standard_normal((SUBJECTS, DIM)), FACES, axis=0)
    rows = centres + 0.6 * rng.standard_normal(centres.shape)
    return rows.astype(np.float32), np.repeat(np.arange(1, SUBJECTS + 1), FACES)


def built(rows: NDArray[np.float32], subjects: NDArray[np.int64], uncoded: int = 0) -> Projection:
    """An index whose sealed segments are coded but for the last `uncoded`."""
    projection = Projection(DIM, "float32", segment_rows=SEGMENT)
    projection.add(1, np.arange(1, len(rows) + 1), subjects, rows)
    coder = FastCoder(DIM)
    sealed = [part.segment for part in projection.view.parts if part.segment.full]
    for segment in sealed[: len(sealed) - uncoded]:
        coder.code(segment)
    return projection


@pytest.mark.parametrize("uncoded", [0, 5])
def test_who_is_enrolled_is_first_with_the_true_similarity(
    engine: SearchEngine, uncoded: int
) -> None:
    rows, subjects = people(seed=0)
    view = built(rows, subjects, uncoded).view
    rng = np.random.default_rng(1)
    for person in rng.integers(0, SUBJECTS, 100):
        probe = rows[person * FACES] + 0.3 * rng.standard_normal(DIM).astype(np.float32)
        query = Queries.of(probe[None])
        [exact] = engine.search(view, query, [Want(1)])
        [fast] = engine.search(view, query, [Want(1, fast=True)])
        assert fast.subject_ids[0] == person + 1
        assert fast.face_ids[0] == exact.face_ids[0]
        assert fast.similarities[0] == exact.similarities[0]


def test_a_batch_answers_as_one_probe_at_a_time(engine: SearchEngine) -> None:
    rows, subjects = people(seed=2)
    view = built(rows, subjects).view
    each = [Queries.of(row[None]) for row in rows[::1500]]
    together = engine.search(view, Queries.join(each), [Want(4, fast=True)] * len(each))
    for query, found in zip(each, together, strict=True):
        [alone] = engine.search(view, query, [Want(4, fast=True)])
        assert np.array_equal(alone.face_ids, found.face_ids)
        assert np.array_equal(alone.similarities, found.similarities)


def test_the_erased_are_not_found(engine: SearchEngine) -> None:
    rows, subjects = people(seed=3)
    projection = built(rows, subjects)
    gone = np.arange(1, 61)  # too few for the segment to be rewritten without them
    projection.remove(2, gone)
    for row in (0, 20, 59):
        [found] = engine.search(
            projection.view, Queries.of(rows[row][None]), [Want(20, by_subject=False, fast=True)]
        )
        assert len(found.face_ids) == 20
        assert not np.isin(found.face_ids, gone).any()


def test_a_subject_with_many_faces_side_by_side_does_not_hide_its_neighbours(
    engine: SearchEngine,
) -> None:
    rows, subjects = people(seed=4)
    rows[:60] = rows[0] + 0.01 * rows[:60]
    subjects[:60] = 1
    rows[60:65] = rows[0] + 0.4 * rows[60:65]  # the nearest other one is in the same segment
    view = built(rows, subjects).view
    [exact] = engine.search(view, Queries.of(rows[:1]), [Want(2)])
    [fast] = engine.search(view, Queries.of(rows[:1]), [Want(2, fast=True)])
    assert exact.subject_ids[1] == subjects[60]
    assert np.array_equal(fast.face_ids, exact.face_ids)


def test_few_parts_give_all_their_candidates_and_many_give_their_share() -> None:
    assert of_a_part(256, 1) == 256
    assert of_a_part(256, 4) == 256
    assert of_a_part(256, 31) == 64
    assert of_a_part(4000, 31) == 516
