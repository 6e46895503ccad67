"""What a gallery decides on its own, kept with it and changed under conditions."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.domain import QualityPolicy
from app.errors import (
    ConsentMissingError,
    GalleryNotFoundError,
    InputError,
    PolicyForbidsError,
    PreconditionFailedError,
)
from app.gallery.database import open_writer
from app.gallery.enrolment import Enrolment
from app.gallery.policy import Policy, QualityRule
from app.gallery.rows import galleries
from app.gallery.schema import MIGRATIONS, migrate
from app.gallery.service import GalleryService
from app.gallery.types import Gallery, GallerySpec, Limits, NewFace, SubjectSpec
from tests.unit.app.gallery.conftest import CONTRACT, DIM, Open, vectors

OFF, WARN, REJECT = QualityPolicy.OFF, QualityPolicy.WARN, QualityPolicy.REJECT
POLICY = Policy(
    fmr=1e-5,
    review_fmr=1e-3,
    fpir=0.001,
    review_fpir=0.1,
    enrol=QualityRule(REJECT, REJECT),
    query=QualityRule(WARN, OFF),
    require_consent=True,
)
SPEC = GallerySpec("people", CONTRACT, DIM, conflict="off")


def _enrolment(key: str, consent_ref: str | None = None) -> Enrolment:
    spec = SubjectSpec(consent_ref=consent_ref)
    return Enrolment(key, [NewFace(vectors(1)[0])], CONTRACT, create=spec)


def _make(service: GalleryService, policy: Policy = POLICY) -> Gallery:
    return service.create_gallery("me", replace(SPEC, policy=policy))


@pytest.mark.parametrize(
    ("rule", "asked", "granted"),
    [
        (QualityRule(), None, REJECT),
        (QualityRule(), WARN, WARN),
        (QualityRule(WARN, OFF), None, WARN),
        (QualityRule(WARN, OFF), OFF, OFF),
        (QualityRule(REJECT, REJECT), REJECT, REJECT),
    ],
)
def test_a_request_may_be_stricter_than_the_loosest(
    rule: QualityRule, asked: QualityPolicy | None, granted: QualityPolicy
) -> None:
    assert rule.granted(asked, "query") is granted


@pytest.mark.parametrize(("rule", "asked"), [(QualityRule(), OFF), (QualityRule(REJECT), OFF)])
def test_a_request_may_not_be_looser(rule: QualityRule, asked: QualityPolicy) -> None:
    with pytest.raises(PolicyForbidsError) as caught:
        rule.granted(asked, "enrol")
    assert caught.value.details == {"setting": "quality.enrol", "loosest": "warn"}


@pytest.mark.parametrize(
    "policy",
    [
        Policy(fmr=1e-3, review_fmr=1e-3),
        Policy(fpir=0.1, review_fpir=0.01),
        Policy(query=QualityRule(WARN, REJECT)),
        Policy(enrol=QualityRule(OFF, WARN)),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(policy: Policy) -> None:
    with pytest.raises(InputError):
        policy.checked()


def test_a_policy_is_kept_over_a_restart(open_gallery: Open) -> None:
    service = open_gallery()
    made = _make(service)
    service.close()
    found = open_gallery().gallery("me", "people")
    assert found == made
    assert (found.spec.policy, found.version) == (POLICY, 1)


def test_terms_change_under_a_version_and_nothing_else_does(open_gallery: Open) -> None:
    service = open_gallery()
    before = _make(service)
    wanted = replace(before.spec, conflict="reject", identify=True, limits=Limits(7, 8, 9))
    after = service.change_gallery("me", "people", lambda _: wanted, version=1)
    assert after == replace(before, spec=wanted, version=2)
    assert service.gallery("me", "people") == after
    with pytest.raises(PreconditionFailedError, match="at version 2, not 1"):
        service.change_gallery("me", "people", lambda gallery: gallery.spec, version=1)
    with pytest.raises(GalleryNotFoundError):
        service.change_gallery("you", "people", lambda gallery: gallery.spec)


def test_enrolling_does_not_move_the_version_of_the_terms(open_gallery: Open) -> None:
    service = open_gallery()
    _make(service, Policy())
    service.enrol("me", "people", _enrolment("a"))
    found = service.gallery("me", "people")
    assert (found.version, found.faces) == (1, 1)


def test_erasing_is_conditional(open_gallery: Open) -> None:
    service = open_gallery()
    _make(service, Policy())
    service.enrol("me", "people", _enrolment("a"))
    version = service.subject("me", "people", "a").version
    with pytest.raises(PreconditionFailedError):
        service.erase_subject("me", "people", "a", version + 1)
    assert service.erase_subject("me", "people", "a", version).faces == 1
    with pytest.raises(PreconditionFailedError):
        service.erase_gallery("me", "people", 2)
    assert service.gallery("me", "people").name == "people"
    service.erase_gallery("me", "people", 1)
    with pytest.raises(GalleryNotFoundError):
        service.gallery("me", "people")


def test_nobody_is_enrolled_without_the_consent_required(open_gallery: Open) -> None:
    service = open_gallery()
    _make(service)
    with pytest.raises(ConsentMissingError):
        service.enrol("me", "people", _enrolment("a"))
    assert service.gallery("me", "people").subjects == 0
    service.put_subject("me", "people", "b", SubjectSpec(name="b"))
    with pytest.raises(ConsentMissingError):
        service.enrol("me", "people", _enrolment("b", "ignored, the subject is there"))
    assert service.enrol("me", "people", _enrolment("a", "c-1")).enrolled.subject.faces == 1


def test_consent_stays_as_long_as_faces_do(open_gallery: Open) -> None:
    service = open_gallery()
    _make(service)
    service.enrol("me", "people", _enrolment("a", "c-1"))
    with pytest.raises(ConsentMissingError):
        service.put_subject("me", "people", "a", SubjectSpec(name="a"))
    assert service.subject("me", "people", "a").spec.consent_ref == "c-1"
    service.put_subject("me", "people", "a", SubjectSpec(consent_ref="c-2"))


def test_consent_required_from_now_on_leaves_those_enrolled_before(open_gallery: Open) -> None:
    service = open_gallery()
    _make(service, Policy())
    service.enrol("me", "people", _enrolment("a"))
    strict = replace(SPEC, policy=Policy(require_consent=True))
    service.change_gallery("me", "people", lambda _: strict)
    assert len(service.faces("me", "people", "a")) == 1
    with pytest.raises(ConsentMissingError):
        service.enrol("me", "people", _enrolment("a"))


def test_galleries_from_before_policies_have_the_default_one(tmp_path: Path) -> None:
    names = [name for name, _ in MIGRATIONS]
    before = MIGRATIONS[: names.index("policy")]
    connection = open_writer(tmp_path / "gallery.db")
    migrate(connection, before)
    connection.execute(
        "INSERT INTO galleries (owner, name, uid, contract_id, dim, conflict, metadata,"
        " max_subjects, max_faces, max_faces_per_subject, created_at, identify)"
        " VALUES ('me', 'old', 'u', 'c', 4, 'warn', '{}', 1, 1, 1, 0, 0)"
    )
    migrate(connection, MIGRATIONS)
    found = galleries.get(connection, "me", "old")
    connection.close()
    assert (found.version, found.spec.policy) == (1, Policy())
