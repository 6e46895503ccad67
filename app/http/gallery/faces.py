"""Faces of a subject: enrolled from photos or as features, listed, erased."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.enrol import Into, PhotoTerms, enrol_faces, enrol_photos
from app.gallery.service import MAX_FACES_AT_ONCE
from app.http.access import CallerDep, needs
from app.http.bodies import named_photos
from app.http.deps import ServiceDep
from app.http.gallery.answers import EnrolOut
from app.http.gallery.deps import FaceId, GalleryName, IdempotencyKey, OwnerDep, SubjectId
from app.http.gallery.schemas import (
    EnrolledFaceOut,
    EnrolledFacesOut,
    EnrolOptions,
    FeaturesIn,
    IntoOptions,
    ReceiptOut,
)
from app.http.openapi import CALLER_ERRORS, PHOTO_ERRORS, errors, named_photos_body
from app.http.presence import present
from app.http.request_id import RequestIdDep
from app.http.room import HAS_ROOM
from app.http.routing import StrictRoute
from app.security.scopes import Scope

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/galleries/{gallery}/subjects/{subject}/faces",
    tags=["enrolled faces"],
    responses=errors(*CALLER_ERRORS, 404, 409, *PHOTO_ERRORS, 507),
)


@router.post(
    "",
    status_code=201,
    summary="Enrol photos",
    dependencies=[needs(Scope.ENROL), HAS_ROOM],
    openapi_extra=named_photos_body(MAX_FACES_AT_ONCE),
)
async def enrol(
    request: Request,
    service: ServiceDep,
    caller: CallerDep,
    gallery: GalleryName,
    subject: SubjectId,
    options: Annotated[EnrolOptions, Query()],
    idempotency_key: IdempotencyKey = None,
) -> EnrolOut:
    """One face of each of up to 20 photos, under names of the caller's choice.

    The answer comes once all are durable and searchable. Photos must be better than a query's:
    one that is refused refuses all, unless `on_error=skip`. Photos themselves are not kept; of
    each the aligned face is, encrypted, where the gallery has a `vault`.
    """
    photos = await named_photos(request, MAX_FACES_AT_ONCE)
    service.guard.photos(caller, len(photos))
    into = _into(caller.owner, gallery, subject, options, idempotency_key)
    terms = PhotoTerms(options.face_select, options.quality, options.on_error == "skip")
    turn = service.engine.turn(caller.owner)
    async with present(request):
        done = await enrol_photos(service, into, terms, photos, turn)
    return EnrolOut.of_photos(done, request.state.request_id)


@router.post(
    "/features",
    status_code=201,
    summary="Enrol features",
    dependencies=[needs(Scope.ENROL, Scope.EMBEDDINGS)],
)
async def enrol_features(
    service: ServiceDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
    subject: SubjectId,
    body: FeaturesIn,
    options: Annotated[IntoOptions, Query()],
    idempotency_key: IdempotencyKey = None,
) -> EnrolOut:
    """Features that were computed before, raw, in the gallery's contract; all or none."""
    into = _into(owner, gallery, subject, options, idempotency_key)
    faces = [one.face() for one in body.features]
    answer = await enrol_faces(service, into, body.contract_id, faces)
    return EnrolOut.of(answer, tuple(str(n) for n in range(len(faces))), request_id)


@router.get("", summary="List a subject's faces", dependencies=[needs(Scope.READ)])
async def listing(
    service: ServiceDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
    subject: SubjectId,
) -> EnrolledFacesOut:
    """Oldest first, without their features."""
    found = await service.gallery.run(lambda g: g.faces(owner, gallery, subject))
    return EnrolledFacesOut(faces=[EnrolledFaceOut.of(one) for one in found], request_id=request_id)


@router.delete("/{face}", summary="Erase one face", dependencies=[needs(Scope.ENROL)])
async def erase(
    service: ServiceDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
    subject: SubjectId,
    face: FaceId,
) -> ReceiptOut:
    """As with a subject: out of every search at once, out of every file when `purged`."""
    receipt = await service.gallery.run(lambda g: g.erase_face(owner, gallery, subject, face))
    return ReceiptOut.of(receipt, request_id)


def _into(
    owner: str, gallery: str, subject: str, options: IntoOptions, idempotency_key: str | None
) -> Into:
    return Into(
        owner,
        gallery,
        subject,
        options.create,
        options.conflict_similarity,
        idempotency_key,
        options.consent_ref,
    )
