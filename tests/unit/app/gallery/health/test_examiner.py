"""Reports in the background, and what of them survives."""

import time
from dataclasses import replace

import numpy as np
import pytest

from app.errors import CursorInvalidError, GalleryNotFoundError
from app.gallery.health.examiner import Examiner, HealthPlan
from app.gallery.health.findings import Kind, Report
from app.gallery.health.naming import NamedPair
from app.gallery.types import GallerySpec
from tests.unit.app.gallery.conftest import CONTRACT, DIM, Open
from tests.unit.app.gallery.health.conftest import LIMITS, People

PLAN = HealthPlan(lambda gallery: LIMITS)


@pytest.fixture
def planned(open_gallery: Open) -> People:
    service = open_gallery(plan=PLAN)
    service.create_gallery("me", GallerySpec("people", CONTRACT, DIM, "off", identify=True))
    return People(service)


def _until_reported(examiner: Examiner, people: People) -> Report:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        health = examiner.health(people.gallery)
        if health.report is not None and health.report.revision == people.gallery.revision:
            return health.report
        time.sleep(0.01)
    raise AssertionError("no report")


def _page(
    people: People, kind: Kind = "duplicates", after: str | None = None, limit: int = 100
) -> tuple[list[NamedPair], str | None]:
    _, found, following = people.service.health_page("me", "people", kind, after, limit)
    return [one for one in found if isinstance(one, NamedPair)], following


def test_a_refresh_brings_a_report_of_the_revision(planned: People) -> None:
    directions = planned.crowd(10)
    planned.add("again", directions[3])
    examiner = planned.service.health
    assert examiner.health(planned.gallery).report is None
    assert _page(planned) == ([], None)
    examiner.refresh(planned.gallery)
    report = _until_reported(examiner, planned)
    assert report.found["duplicates"].total == 1
    [pair] = _page(planned)[0]
    assert {pair.a.subject, pair.b.subject} == {"p003", "again"}


def test_changed_galleries_are_examined_by_themselves(open_gallery: Open) -> None:
    service = open_gallery(plan=replace(PLAN, every=0.02))
    service.create_gallery("me", GallerySpec("people", CONTRACT, DIM, "off", identify=True))
    people = People(service)
    people.crowd(5)
    assert _until_reported(service.health, people).subjects == 5


def test_own_rates_and_references_survive_a_restart(open_gallery: Open) -> None:
    service = open_gallery(plan=PLAN)
    service.create_gallery("me", GallerySpec("people", CONTRACT, DIM, "off", identify=True))
    people = People(service)
    people.crowd(230, faces=1)
    service.health.examine(people.gallery)
    own = service.health.own(people.gallery)
    service.close()
    again = open_gallery(plan=PLAN)
    kept = again.health.own(again.gallery("me", "people"))
    assert own is not None
    assert kept is not None
    assert np.array_equal(kept.top_M, own.top_M)
    assert (kept.faces, kept.subjects, kept.set_aside) == (230, 230, own.set_aside)
    health = again.health.health(again.gallery("me", "people"))
    assert (health.report, health.norms) == (None, None)
    assert health.scores is not None


def test_who_is_erased_is_in_no_finding(planned: People) -> None:
    directions = planned.crowd(10)
    planned.add("again", directions[3])
    planned.add("twin", directions[5])
    planned.service.health.examine(planned.gallery)
    assert len(_page(planned)[0]) == 2
    planned.service.erase_subject("me", "people", "again")
    [pair] = _page(planned)[0]
    assert {pair.a.subject, pair.b.subject} == {"p005", "twin"}


def test_pages_go_on_within_one_report_only(planned: People) -> None:
    planned.crowd(12)
    planned.service.health.examine(planned.gallery)
    first, following = _page(planned, "nearest", limit=5)
    second, _ = _page(planned, "nearest", following, limit=5)
    every, _ = _page(planned, "nearest", limit=10)
    assert first + second == every
    with pytest.raises(CursorInvalidError):
        _page(planned, "duplicates", following)
    planned.service.health.examine(planned.gallery)
    with pytest.raises(CursorInvalidError):
        _page(planned, "nearest", following)


def test_another_owner_sees_no_health(planned: People) -> None:
    with pytest.raises(GalleryNotFoundError):
        planned.service.health_page("you", "people", "weak", None, 10)


def test_a_gallery_that_is_erased_takes_its_health_along(planned: People) -> None:
    planned.crowd(5)
    planned.service.health.examine(planned.gallery)
    planned.service.erase_gallery("me", "people")
    with planned.service.store.read() as connection:
        assert connection.execute("SELECT COUNT(*) FROM gallery_health").fetchone() == (0,)


def test_closing_gives_up_what_runs(planned: People) -> None:
    planned.crowd(50)
    for _ in range(20):
        planned.service.health.refresh(planned.gallery)
    planned.service.close()


def test_totals_count_without_naming(planned: People) -> None:
    directions = planned.crowd(10)
    planned.add("again", directions[3])
    assert planned.service.health.totals().reports == 0
    planned.service.health.examine(planned.gallery)
    totals = planned.service.health.totals()
    assert (totals.reports, totals.found["duplicates"]) == (1, 1)
    assert totals.drifted == {"scores": 0, "norms": 0}
