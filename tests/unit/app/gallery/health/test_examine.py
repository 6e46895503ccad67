"""Planted faults are found, and nothing else."""

from collections.abc import Iterator

import numpy as np
import pytest

from app.gallery.health.examine import Budget, examine
from app.gallery.health.findings import Limits, Outlier, Pair, Report, Weak
from app.gallery.health.sample import Rows, of_people, unit_features
from app.gallery.health.within import within
from app.gallery.index.engine import SearchEngine
from tests.unit.app.gallery.health.conftest import People, task


@pytest.fixture
def engine() -> Iterator[SearchEngine]:
    made = SearchEngine(1)
    yield made
    made.close()


def _pairs(report: Report) -> list[Pair]:
    return [one for one in report.found["duplicates"].worst if isinstance(one, Pair)]


def _outliers(report: Report) -> dict[int, Outlier]:
    found = report.found["outliers"].worst
    return {one.face: one for one in found if isinstance(one, Outlier)}


def _subject(people: People, key: str) -> int:
    return people.service.subject("me", "people", key).id


def test_a_sound_gallery_has_no_findings(engine: SearchEngine, people: People) -> None:
    people.crowd(40)
    report, _ = examine(engine, people.view, task())
    assert (report.subjects, report.faces, report.single_face) == (40, 120, 0)
    assert report.revision == people.gallery.revision
    assert [report.found[kind].total for kind in ("duplicates", "outliers", "weak")] == [0, 0, 0]
    nearest = report.found["nearest"]
    assert nearest.total is not None
    similarities = [one.similarity for one in nearest.worst if isinstance(one, Pair)]
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[0] < 0.8


def test_a_person_enrolled_twice_is_a_duplicate(engine: SearchEngine, people: People) -> None:
    directions = people.crowd(40)
    people.add("again", directions[3], 2)
    report, _ = examine(engine, people.view, task())
    [pair] = _pairs(report)
    assert {pair.subject_a, pair.subject_b} == {
        _subject(people, "p003"),
        _subject(people, "again"),
    }
    assert (pair.misfiled, _outliers(report)) == (None, {})
    assert pair.similarity > 0.9


def test_a_face_under_the_wrong_name_is_told_from_a_duplicate(
    engine: SearchEngine, people: People
) -> None:
    directions = people.crowd(40)
    [wrong] = people.add("p005", directions[3])
    report, _ = examine(engine, people.view, task())
    [pair] = _pairs(report)
    assert pair.misfiled == wrong
    found = _outliers(report)
    assert set(found) == {wrong}
    assert found[wrong].subject == _subject(people, "p005")
    assert found[wrong].nearer_subject == _subject(people, "p003")
    assert (found[wrong].nearer_similarity or 0) > 0.9 > 0.6 > found[wrong].similarity


def test_a_strangers_face_is_an_outlier_without_a_better_place(
    engine: SearchEngine, people: People
) -> None:
    people.crowd(40)
    [wrong] = people.add("p005", people.directions(1)[0])
    report, _ = examine(engine, people.view, task())
    assert set(_outliers(report)) == {wrong}
    assert _pairs(report) == []


def test_of_two_faces_that_disagree_both_are_shown(engine: SearchEngine, people: People) -> None:
    directions = people.directions(2)
    people.crowd(10)
    ids = [people.add("two", direction)[0] for direction in directions]
    report, _ = examine(engine, people.view, task())
    assert set(_outliers(report)) == set(ids)


def test_weak_people_are_those_without_one_good_face(engine: SearchEngine, people: People) -> None:
    directions = people.crowd(10)
    people.add("p001", directions[1], norm=4.0)
    [faint] = people.add("faint", people.directions(1)[0], norm=5.0)
    report, _ = examine(engine, people.view, task())
    [weak] = report.found["weak"].worst
    assert isinstance(weak, Weak)
    assert (weak.face, weak.faces) == (faint, 1)
    assert weak.norm == pytest.approx(5.0, abs=0.01)
    assert report.single_face == 1


def test_without_limits_nothing_is_judged(engine: SearchEngine, people: People) -> None:
    directions = people.crowd(10)
    people.add("again", directions[3], 2)
    report, _ = examine(engine, people.view, task(limits=Limits()))
    found = {kind: one.total for kind, one in report.found.items()}
    assert (found["duplicates"], found["outliers"], found["weak"]) == (None, None, None)
    best = report.found["nearest"].worst[0]
    assert isinstance(best, Pair)
    assert best.similarity > 0.9


def test_people_are_not_compared_where_the_terms_forbid_it(
    engine: SearchEngine, people: People
) -> None:
    directions = people.crowd(10)
    people.add("again", directions[3], 2)
    [wrong] = people.add("p005", directions[4])
    report, _ = examine(engine, people.view, task(across=False))
    assert report.found["duplicates"].total is None
    assert report.found["nearest"].total is None
    assert (report.own, report.examined.probes) == (None, 0)
    assert _outliers(report)[wrong].nearer_subject is None


def test_a_large_gallery_is_sampled_and_says_so(engine: SearchEngine, people: People) -> None:
    people.crowd(60)
    budget = Budget(comparisons=180 * 40, within=90, strangers=30)
    report, _ = examine(engine, people.view, task(budget=budget))
    assert (report.examined.probes, report.examined.within) == (40, 90)
    assert report.own is not None
    assert len(report.own.top_M) == 30


def test_own_rates_are_of_one_face_each_and_leave_out_those_enrolled_twice(
    engine: SearchEngine, people: People
) -> None:
    directions = people.crowd(60)
    people.add("again", directions[3])
    report, _ = examine(engine, people.view, task())
    own = report.own
    assert own is not None
    assert (own.faces, own.subjects, own.set_aside) == (181, 61, 2)
    assert len(own.top_M) == 59
    assert own.top_M.max() < 0.9
    rows = Rows.of(people.view)
    first = np.unique(rows.subjects_N, return_index=True)[1]
    unit = unit_features(people.view, rows.ids_N)
    scores = unit[first] @ unit.T
    scores[rows.subjects_N[first][:, None] == rows.subjects_N[None, :]] = -1
    highest = np.sort(scores.max(axis=1))
    assert own.top_M == pytest.approx(highest[highest < 0.9], abs=1e-5)


def test_an_empty_gallery_has_an_empty_report(engine: SearchEngine, people: People) -> None:
    report, _ = examine(engine, people.view, task())
    assert (report.faces, report.own) == (0, None)
    assert report.found["duplicates"].total == 0


def test_a_face_is_held_against_the_mean_of_the_others(people: People) -> None:
    people.crowd(7, faces=4)
    people.add("single", people.directions(1)[0])
    view = people.view
    rows = Rows.of(view)
    found = within(view, rows, of_people(rows, 1000))
    unit = unit_features(view, rows.ids_N).astype(np.float64)
    assert len(found.faces_M) == 28
    for face, similarity in zip(found.faces_M, found.similarities_M, strict=True):
        place = int(np.flatnonzero(rows.ids_N == face)[0])
        others = rows.subjects_N == rows.subjects_N[place]
        others[place] = False
        mean = unit[others].sum(axis=0)
        assert similarity == pytest.approx(unit[place] @ mean / np.linalg.norm(mean), abs=1e-5)
