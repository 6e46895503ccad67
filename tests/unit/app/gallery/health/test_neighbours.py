"""Kept up to date, the neighbours are what searching for all of them anew would give."""

from collections.abc import Iterator

import numpy as np
import pytest

from app.gallery.health.neighbours import KEPT, NOBODY, Neighbours, neighbours
from app.gallery.health.sample import Rows, unit_features
from app.gallery.index.engine import SearchEngine
from tests.unit.app.gallery.health.conftest import People


@pytest.fixture
def engine() -> Iterator[SearchEngine]:
    made = SearchEngine(1)
    yield made
    made.close()


def _look(
    engine: SearchEngine, people: People, before: Neighbours | None = None
) -> tuple[Neighbours, int]:
    rows = Rows.of(people.view)
    probes = np.arange(len(rows.ids_N))
    return neighbours(engine, people.view, rows, probes, before or Neighbours.none(), lambda: None)


def _same(a: Neighbours, b: Neighbours) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in Neighbours.__slots__)


def test_neighbours_are_the_best_faces_of_the_nearest_other_subjects(
    engine: SearchEngine, people: People
) -> None:
    people.crowd(30)
    found, searched = _look(engine, people)
    rows = Rows.of(people.view)
    unit = unit_features(people.view, rows.ids_N)
    scores = unit @ unit.T
    assert searched == 90
    for place in range(len(rows.ids_N)):
        best: dict[int, tuple[float, int]] = {}
        for other in np.flatnonzero(rows.subjects_N != rows.subjects_N[place]):
            score = float(scores[place, other])
            subject = int(rows.subjects_N[other])
            best[subject] = max(best.get(subject, (NOBODY, 0)), (score, int(rows.ids_N[other])))
        expected = sorted(best.items(), key=lambda one: -one[1][0])[:KEPT]
        assert found.subjects_PK[place].tolist() == [subject for subject, _ in expected]
        assert found.faces_PK[place].tolist() == [face for _, (_, face) in expected]


def test_what_has_not_changed_is_not_searched_for_again(
    engine: SearchEngine, people: People
) -> None:
    people.crowd(60)
    before, _ = _look(engine, people)
    again, searched = _look(engine, people, before)
    assert searched == 0
    assert _same(before, again)


def test_new_faces_enter_where_they_are_near(engine: SearchEngine, people: People) -> None:
    directions = people.crowd(60)
    before, _ = _look(engine, people)
    people.add("twin", directions[7], 2)
    found, searched = _look(engine, people, before)
    assert searched < 60
    assert _same(found, _look(engine, people)[0])


def test_erased_faces_leave(engine: SearchEngine, people: People) -> None:
    directions = people.crowd(60)
    people.add("twin", directions[7], 2)
    before, _ = _look(engine, people)
    people.service.erase_subject("me", "people", "twin")
    people.service.erase_subject("me", "people", "p009")
    found, searched = _look(engine, people, before)
    assert 0 < searched < 180
    assert _same(found, _look(engine, people)[0])


def test_the_first_people_have_few_neighbours(engine: SearchEngine, people: People) -> None:
    people.crowd(2, faces=1)
    found, _ = _look(engine, people)
    assert (found.similarities_PK > NOBODY).sum(axis=1).tolist() == [1, 1]
    people.crowd(4, faces=1)
    assert _same(_look(engine, people, found)[0], _look(engine, people)[0])


def test_one_person_has_none(engine: SearchEngine, people: People) -> None:
    people.crowd(1)
    assert (_look(engine, people)[0].similarities_PK == NOBODY).all()
