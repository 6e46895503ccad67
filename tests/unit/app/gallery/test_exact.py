"""Exact search against comparing with every face in double precision."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.gallery.index.codes import Queries
from app.gallery.index.engine import SearchEngine, Want
from app.gallery.index.projection import Projection
from app.gallery.index.rescore import Ranked


def oracle(
    rows: NDArray[np.float32],
    ids: NDArray[np.int64],
    subjects: NDArray[np.int64],
    probe: NDArray[np.float32],
    k: int,
) -> list[tuple[int, float]]:
    """(face id, similarity) of each of the best k subjects' best face."""
    wide, unit = rows.astype(np.float64), probe.astype(np.float64)
    unit = unit / np.linalg.norm(unit)
    scores = ((wide @ unit) / np.linalg.norm(wide, axis=1)).clip(-1, 1).astype(np.float32)
    order = np.lexsort((ids, -scores))
    seen: dict[int, tuple[int, float]] = {}
    for row in order:
        seen.setdefault(int(subjects[row]), (int(ids[row]), float(scores[row])))
    return list(seen.values())[:k]


def build(rows: NDArray[np.float32], subjects: NDArray[np.int64]) -> Projection:
    projection = Projection(rows.shape[1], "float32", segment_rows=512)
    ids = np.arange(1, len(rows) + 1)
    for start in range(0, len(rows), 100):
        cut = slice(start, start + 100)
        projection.add(start + 1, ids[cut], subjects[cut], rows[cut])
    return projection


def answers(ranked: Ranked) -> list[tuple[int, float]]:
    return [(int(i), float(s)) for i, s in zip(ranked.face_ids, ranked.similarities, strict=True)]


def clustered(rng: np.random.Generator) -> NDArray[np.float32]:
    centres = rng.standard_normal((300, 64))
    return (np.repeat(centres, 10, axis=0) + 0.8 * rng.standard_normal((3000, 64))).astype(
        np.float32
    )


def nearly_equal(rng: np.random.Generator) -> NDArray[np.float32]:
    """Differences far below what a code can tell: the first scan cannot be enough."""
    return (np.ones((3000, 64)) + 1e-4 * rng.standard_normal((3000, 64))).astype(np.float32)


def spiky(rng: np.random.Generator) -> NDArray[np.float32]:
    """One component carries all: codes of these are useless."""
    rows = 0.05 * rng.standard_normal((3000, 64))
    rows[np.arange(3000), rng.integers(0, 64, 3000)] += rng.choice([-1, 1], 3000)
    return rows.astype(np.float32)


def repeated(rng: np.random.Generator) -> NDArray[np.float32]:
    """Only three different faces: order is by id alone."""
    return rng.standard_normal((3, 64)).astype(np.float32)[rng.integers(0, 3, 3000)]


@pytest.fixture
def engine() -> SearchEngine:
    return SearchEngine(2)


@pytest.mark.parametrize("make", [clustered, nearly_equal, spiky, repeated])
@pytest.mark.parametrize("probes", [1, 2, 9])
def test_answers_are_those_of_the_oracle(engine: SearchEngine, make: object, probes: int) -> None:
    rng = np.random.default_rng(7)
    rows = make(rng)  # type: ignore[operator]
    subjects = rng.integers(1, 400, 3000)
    projection = build(rows, subjects)
    features = rows[:probes] + 0.1 * rng.standard_normal((probes, 64)).astype(np.float32)
    queries = Queries.join([Queries.of(feature[None]) for feature in features])
    found = engine.search(projection.view, queries, [Want(12)] * probes)
    for feature, ranked in zip(features, found, strict=True):
        assert answers(ranked) == oracle(rows, np.arange(1, 3001), subjects, feature, 12)


def test_one_subject_with_most_of_the_faces_does_not_hide_the_others(
    engine: SearchEngine,
) -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((3000, 64)).astype(np.float32)
    rows[:2900] = rows[0] + 0.01 * rng.standard_normal((2900, 64))
    subjects = np.ones(3000, np.int64)
    subjects[2900:] = np.arange(2, 102)
    view = build(rows, subjects).view
    [ranked] = engine.search(view, Queries.of(rows[:1]), [Want(20)])
    assert answers(ranked) == oracle(rows, np.arange(1, 3001), subjects, rows[0], 20)


def test_a_batch_gives_the_same_bits_as_one_probe_at_a_time(engine: SearchEngine) -> None:
    rng = np.random.default_rng(3)
    rows = clustered(rng)
    view = build(rows, np.arange(3000)).view
    each = [Queries.of(row[None]) for row in rows[:16]]
    together = engine.search(view, Queries.join(each), [Want(10)] * 16)
    for query, ranked in zip(each, together, strict=True):
        [alone] = engine.search(view, query, [Want(10)])
        assert answers(alone) == answers(ranked)


@pytest.mark.parametrize("probes", [1, 9])
def test_the_dead_are_never_found(engine: SearchEngine, probes: int) -> None:
    rng = np.random.default_rng(5)
    rows, subjects = clustered(rng), np.arange(3000)
    projection = build(rows, subjects)
    before = projection.view
    gone = rng.permutation(3000)[:1200]
    projection.remove(9, np.sort(gone) + 1)
    kept = np.setdiff1d(np.arange(3000), gone)
    queries = Queries.of(rows[gone[:probes]])
    for n, ranked in enumerate(engine.search(projection.view, queries, [Want(10)] * probes)):
        expected = oracle(rows[kept], kept + 1, subjects[kept], rows[gone[n]], 10)
        assert answers(ranked) == expected
    assert projection.view.faces == 1800
    assert before.faces == 3000  # a search that had begun still sees what it began with


def test_a_filter_lets_only_its_subjects_through(engine: SearchEngine) -> None:
    rng = np.random.default_rng(6)
    rows, subjects = clustered(rng), np.arange(3000)
    view = build(rows, subjects).view
    allowed = np.sort(rng.permutation(3000)[:1500])
    [ranked] = engine.search(view, Queries.of(rows[:1]), [Want(10, subject_ids=allowed)])
    assert answers(ranked) == oracle(rows[allowed], allowed + 1, allowed, rows[0], 10)


def test_an_empty_gallery_has_no_answer(engine: SearchEngine) -> None:
    projection = Projection(64, "float32")
    [ranked] = engine.search(projection.view, Queries.of(np.ones((1, 64), np.float32)), [Want(5)])
    assert answers(ranked) == []


@pytest.mark.parametrize("probes", [1, 9])
def test_faces_added_after_a_view_was_taken_do_not_displace_any(
    engine: SearchEngine, probes: int
) -> None:
    rng = np.random.default_rng(8)
    rows = clustered(rng)[:100]
    projection = Projection(64, "float32")
    projection.add(1, np.arange(1, 71), np.arange(70), rows[:70])
    view = projection.view
    projection.add(2, np.arange(71, 101), np.arange(70, 100), rows[:1].repeat(30, axis=0))
    queries = Queries.of(rows[:1].repeat(probes, axis=0))
    for ranked in engine.search(view, queries, [Want(70)] * probes):
        assert answers(ranked) == oracle(rows[:70], np.arange(1, 71), np.arange(70), rows[0], 70)
