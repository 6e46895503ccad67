import numpy as np
import pytest

from app.gallery.health.sample import Rows, further, leading, of_people, unit_features
from tests.unit.app.gallery.health.conftest import People


def _rows(people: int, faces: int = 2) -> Rows:
    ids = np.arange(1, people * faces + 1)
    subjects = 1 + (ids - 1) % people
    return Rows(ids, subjects, np.ones(len(ids)))


def test_the_oldest_face_of_each_person_leads() -> None:
    rows = _rows(50)
    chosen = leading(rows, 100)
    assert sorted(rows.ids_N[chosen]) == list(range(1, 51))


def test_a_sample_stays_nearly_the_same_as_the_gallery_grows() -> None:
    before, after = _rows(1000, 1), _rows(1100, 1)
    drawn = [set(rows.subjects_N[leading(rows, 200)]) for rows in (before, after)]
    assert len(drawn[0]) == 200
    assert len(drawn[0] & drawn[1]) > 160
    assert drawn[0] != set(range(1, 201))


def test_seeds_draw_others() -> None:
    rows = _rows(1000, 1)
    assert len(np.intersect1d(leading(rows, 100, 0), leading(rows, 100, 1))) < 30


def test_further_faces_are_new_ones() -> None:
    rows = _rows(20)
    first = leading(rows, 20)
    more = further(rows, first, 5)
    assert len(more) == 5
    assert not len(np.intersect1d(first, more))


def test_people_are_drawn_whole_and_stand_together() -> None:
    rows = _rows(30, 4)
    chosen = of_people(rows, 50)
    subjects, counts = np.unique(rows.subjects_N[chosen], return_counts=True)
    assert (len(subjects), set(counts)) == (12, {4})
    assert len(np.unique(np.diff(rows.subjects_N[chosen]) != 0)) == 2
    assert (np.diff(rows.subjects_N[chosen]) >= 0).all()


def test_rows_are_the_living_faces_with_their_lengths(people: People) -> None:
    people.crowd(40)
    gone = people.add("gone", people.directions(1)[0], norm=30.0)
    faint = people.add("faint", people.directions(1)[0], norm=5.0)
    people.service.erase_subject("me", "people", "gone")
    rows = Rows.of(people.view)
    assert len(rows.ids_N) == 121
    assert gone[0] not in rows.ids_N
    assert rows.norms_N[rows.ids_N == faint[0]] == pytest.approx(5.0, abs=0.01)
    unit = unit_features(people.view, rows.ids_N)
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-5)
