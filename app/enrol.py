"""Photos into a gallery: each looked at, admitted by its quality, stored together."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from app.domain import FaceSelect, Observation, QualityPolicy
from app.errors import NormaError
from app.gallery.enrolment import Enrolment, EnrolmentAnswer, check_contract
from app.gallery.types import Gallery, NewFace, SubjectSpec
from app.inference.turn import Turn
from app.operating import conflict_threshold
from app.pipeline import Pipeline
from app.service import Service, admit
from app.vision.keepsake import keepsake, packed


@dataclass(frozen=True, slots=True)
class Into:
    """Where faces go, and on which terms.

    `conflict_from` is the cosine from which a face counts as another subject's; None takes the
    gallery's threshold for searches. `create` makes a missing subject, under `consent_ref`.
    """

    owner: str
    gallery: str
    subject: str
    create: bool
    conflict_from: float | None
    idempotency_key: str | None
    consent_ref: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoTerms:
    """Which face of each photo, how good it has to be (None: the gallery's default), whether
    one bad photo refuses all, and whether a keepsake of it is wanted."""

    how: FaceSelect
    policy: QualityPolicy | None
    skip: bool
    vault: bool = False


@dataclass(frozen=True, slots=True)
class EnrolledPhotos:
    """The store's answer, the names of the photos that went in, in order, and of the others why."""

    answer: EnrolmentAnswer
    accepted: tuple[str, ...]
    rejected: dict[str, NormaError]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A photo from which no face can be enrolled. Not raised: the others' fate is not decided."""

    error: NormaError


Looked = NewFace | Unusable


async def enrol_photos(
    service: Service, into: Into, terms: PhotoTerms, photos: Mapping[str, bytes], turn: Turn
) -> EnrolledPhotos:
    """Raises the first photo's error, which names it, where one is refused and `terms` do not
    skip it, or where none is left; PolicyForbidsError; and what `enrol_faces` raises."""
    found = await service.gallery.run(lambda g: g.gallery(into.owner, into.gallery))
    service = service.speaking(found.spec.contract_id)
    contract_id = service.contract_id
    check_contract(found, contract_id)  # before anything is computed
    policy = found.spec.policy.enrol.granted(terms.policy, "enrol")
    exactly = replace(terms, policy=policy, vault=found.spec.policy.vault)
    looked = await _look(service, exactly, photos, turn)
    rejected = {name: one.error for name, one in looked.items() if isinstance(one, Unusable)}
    faces = {name: one for name, one in looked.items() if isinstance(one, NewFace)}
    if rejected and not (terms.skip and faces):
        raise next(iter(rejected.values()))
    answer = await enrol_faces(service, into, contract_id, list(faces.values()))
    return EnrolledPhotos(answer, tuple(faces), rejected)


async def enrol_faces(
    service: Service, into: Into, contract_id: str, faces: list[NewFace]
) -> EnrolmentAnswer:
    """All of the faces or none; durable and searchable on return.

    Raises what `Enroller.enrol` raises, and CalibrationMissingError where the gallery refuses
    conflicts but no rate is known to tell them by.
    """
    found = await service.gallery.run(lambda g: g.gallery(into.owner, into.gallery))
    enrolment = Enrolment(
        key=into.subject,
        faces=faces,
        contract_id=contract_id,
        create=SubjectSpec(consent_ref=into.consent_ref) if into.create else None,
        conflict_from=conflict_from(service, found, into.conflict_from),
        idempotency_key=into.idempotency_key,
    )
    return await service.gallery.run(lambda g: g.enrol(into.owner, into.gallery, enrolment))


def conflict_from(service: Service, gallery: Gallery, given: float | None) -> float | None:
    """The cosine from which a face counts as another subject's; None where nobody looks.

    Raises CalibrationMissingError as `enrol_faces` does.
    """
    if given is not None or gallery.spec.conflict == "off":
        return given
    return conflict_threshold(service.speaking(gallery.spec.contract_id), gallery)


async def _look(
    service: Service, terms: PhotoTerms, photos: Mapping[str, bytes], turn: Turn
) -> dict[str, Looked]:
    """Raises the engine's errors: a photo that nobody came to look at is not a poor photo."""
    jobs = [partial(look_at, service.pipeline, terms, *item) for item in photos.items()]
    looked = dict(zip(photos, await service.engine.run_each(jobs, turn), strict=True))
    for one in looked.values():
        if isinstance(one, NormaError):
            raise one
    return {name: one for name, one in looked.items() if not isinstance(one, NormaError)}


def look_at(pipeline: Pipeline, terms: PhotoTerms, name: str, photo: bytes) -> Looked:
    """The chosen face of one photo, or why it cannot be enrolled. Never raises a NormaError."""
    try:
        observed = pipeline.observe(photo, terms.how, "enrol")
        admit({name: observed}, terms.policy or QualityPolicy.REJECT)
        return _new_face(observed, photo, terms.vault)
    except NormaError as error:
        error.details["image"] = name
        return Unusable(error)


def _new_face(observed: Observation, photo: bytes, vault: bool) -> NewFace:
    """What is stored of a photo: all but the photo, and its aligned face where there is a vault."""
    kept = packed(keepsake(observed.image, observed.face)) if vault else None
    return NewFace(
        feature=observed.embedding.feature,
        quality=observed.quality.score,
        box=observed.face.box,
        source=hashlib.sha256(photo).digest(),
        keepsake=kept,
    )
