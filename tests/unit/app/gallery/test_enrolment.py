"""Faces added once, under the right subject, for as long as they were meant to stay."""

from dataclasses import replace

import numpy as np
import pytest

from app.errors import (
    IdempotencyConflictError,
    IdentityConflictError,
    LimitReachedError,
    SubjectNotFoundError,
)
from app.gallery.enrolment import Enrolment, EnrolmentAnswer
from app.gallery.rows.common import now
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.types import ConflictPolicy, GallerySpec, Limits, NewFace, SubjectSpec
from tests.unit.app.gallery.conftest import CONTRACT, DIM, Open, vectors

SPEC = GallerySpec("people", CONTRACT, DIM, conflict="off", identify=True)
ROWS = vectors(8)


def _gallery(service: GalleryService, conflict: ConflictPolicy = "off") -> None:
    service.create_gallery("me", replace(SPEC, conflict=conflict))


def _enrol(service: GalleryService, key: str, *rows: np.ndarray, **more: object) -> EnrolmentAnswer:
    enrolment = Enrolment(key, [NewFace(row) for row in rows], CONTRACT, create=SubjectSpec())
    return service.enrol("me", "people", replace(enrolment, **more))


def _near(row: np.ndarray, cosine: float) -> np.ndarray:
    """A feature of this cosine with `row`."""
    unit = row / np.linalg.norm(row)
    other = ROWS[7] - (ROWS[7] @ unit) * unit
    mixed = cosine * unit + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)
    return (9 * mixed).astype(np.float32)


def test_a_repeated_request_adds_nothing_and_is_answered_alike(open_gallery: Open) -> None:
    service = open_gallery()
    _gallery(service)
    first = _enrol(service, "a", ROWS[0], idempotency_key="k")
    again = _enrol(service, "a", ROWS[0], idempotency_key="k")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.enrolled.faces == first.enrolled.faces
    assert again.enrolled.revision == first.enrolled.revision
    assert service.gallery("me", "people").faces == 1


def test_a_key_outlives_a_restart_and_what_was_erased_since_stays_erased(
    open_gallery: Open,
) -> None:
    service = open_gallery()
    _gallery(service)
    faces = _enrol(service, "a", ROWS[0], ROWS[1], idempotency_key="k").enrolled.faces
    service.erase_face("me", "people", "a", faces[0].uid)
    service.close()
    again = _enrol(open_gallery(), "a", ROWS[0], ROWS[1], idempotency_key="k")
    assert again.repeated
    assert again.enrolled.faces == faces[1:]


def test_a_key_is_of_one_request_and_one_owner(open_gallery: Open) -> None:
    service = open_gallery()
    _gallery(service)
    _enrol(service, "a", ROWS[0], idempotency_key="k")
    for key, row in (("b", ROWS[0]), ("a", ROWS[1])):
        with pytest.raises(IdempotencyConflictError):
            _enrol(service, key, row, idempotency_key="k")
    service.create_gallery("you", SPEC)
    yours = Enrolment("a", [NewFace(ROWS[0])], CONTRACT, SubjectSpec(), idempotency_key="k")
    assert not service.enrol("you", "people", yours).repeated


def test_a_refused_request_leaves_its_key_free(open_gallery: Open) -> None:
    service = open_gallery()
    service.create_gallery("me", replace(SPEC, limits=Limits(faces_per_subject=1)))
    with pytest.raises(LimitReachedError):
        _enrol(service, "a", ROWS[0], ROWS[1], idempotency_key="k")
    assert not _enrol(service, "a", ROWS[0], idempotency_key="k").repeated


@pytest.mark.parametrize("conflict", ["warn", "reject"])
def test_anothers_face_is_a_conflict_from_the_threshold_on(
    conflict: ConflictPolicy, open_gallery: Open
) -> None:
    service = open_gallery()
    _gallery(service, conflict)
    _enrol(service, "tom", ROWS[0], conflict_from=0.5)
    below = _enrol(service, "under", _near(ROWS[0], 0.45), conflict_from=0.5)
    assert below.conflicts == ()
    service.erase_subject("me", "people", "under")
    if conflict == "reject":
        with pytest.raises(IdentityConflictError) as caught:
            _enrol(service, "over", _near(ROWS[0], 0.55), conflict_from=0.5)
        [found] = caught.value.details["conflicts"]  # type: ignore[misc]
        assert (found["face"], found["subject"]) == (0, "tom")
        with pytest.raises(SubjectNotFoundError):
            service.subject("me", "people", "over")
    else:
        answer = _enrol(service, "over", _near(ROWS[0], 0.55), conflict_from=0.5)
        [warned] = answer.conflicts
        assert (warned.face, warned.subject) == (0, "tom")
        assert warned.similarity == pytest.approx(0.55, abs=1e-3)


def test_ones_own_face_is_no_conflict(open_gallery: Open) -> None:
    service = open_gallery()
    _gallery(service, "reject")
    _enrol(service, "tom", ROWS[0], conflict_from=0.5)
    assert _enrol(service, "tom", _near(ROWS[0], 0.9), conflict_from=0.5).conflicts == ()


def test_nothing_is_looked_for_where_conflicts_are_off(open_gallery: Open) -> None:
    service = open_gallery()
    _gallery(service, "off")
    _enrol(service, "tom", ROWS[0], conflict_from=0.5)
    assert _enrol(service, "again", ROWS[0], conflict_from=0.5).conflicts == ()


def test_a_subject_whose_time_is_over_is_erased_and_no_other(open_gallery: Open) -> None:
    service = open_gallery()
    _gallery(service)
    hour = 3_600_000
    _enrol(service, "gone", ROWS[0], create=SubjectSpec(expires_at=now() - hour))
    _enrol(service, "there", ROWS[1], create=SubjectSpec(expires_at=now() + hour))
    service.close()
    service = open_gallery()
    service._store.keeper.purge().result()  # housekeeping's first round looks who is over
    with pytest.raises(SubjectNotFoundError):
        service.subject("me", "people", "gone")
    left = service.search("me", "people", ROWS[0], CONTRACT, SearchOptions()).matches
    assert [match.subject.key for match in left] == ["there"]
    assert service.gallery("me", "people").faces == 1
