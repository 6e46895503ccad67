"""Subjects: the people of a gallery, by the caller's own ids."""

from fastapi import APIRouter, Response

from app.errors import SubjectNotFoundError
from app.gallery.types import Subject, SubjectSpec
from app.http.access import needs
from app.http.deps import ServiceDep
from app.http.gallery.deps import Cursor, GalleryName, Limit, OwnerDep, SubjectId, VersionDep
from app.http.gallery.dossier import DossierOut
from app.http.gallery.schemas import ReceiptOut, SubjectIn, SubjectOut, SubjectPage
from app.http.openapi import BODY_ERRORS, CALLER_ERRORS, errors
from app.http.request_id import RequestIdDep
from app.http.routing import StrictRoute
from app.security.scopes import Scope

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/galleries/{gallery}/subjects",
    tags=["subjects"],
    responses=errors(*CALLER_ERRORS, 400, 404, *BODY_ERRORS, 409, 412, 422, 503, 507),
)


@router.get("", summary="List subjects", dependencies=[needs(Scope.READ)])
async def page(
    service: ServiceDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> SubjectPage:
    """By id. Pages stay right while others come and go: nobody is shown twice or passed over."""
    found, following = await service.gallery.run(
        lambda g: g.subjects(owner, gallery, cursor, limit)
    )
    return SubjectPage(
        subjects=[SubjectOut.of(one) for one in found],
        next_cursor=following,
        request_id=request_id,
    )


@router.put(
    "/{subject}",
    summary="Create or replace a subject",
    dependencies=[needs(Scope.ENROL)],
    responses={201: {"model": SubjectOut, "description": "The subject is new."}},
)
async def put(
    service: ServiceDep,
    owner: OwnerDep,
    gallery: GalleryName,
    subject: SubjectId,
    body: SubjectIn,
    version: VersionDep,
    response: Response,
) -> SubjectOut:
    """What is said about a subject; its faces stay. Conditional by If-Match or If-None-Match."""
    found, new = await service.gallery.run(
        lambda g: g.put_subject(owner, gallery, subject, body.spec(), version)
    )
    response.status_code = 201 if new else 200
    return _tagged(response, found)


@router.patch("/{subject}", summary="Change a subject", dependencies=[needs(Scope.ENROL)])
async def patch(
    service: ServiceDep,
    owner: OwnerDep,
    gallery: GalleryName,
    subject: SubjectId,
    body: SubjectIn,
    version: VersionDep,
    response: Response,
) -> SubjectOut:
    """The fields sent are replaced, the others stay. Conditional by If-Match."""

    def change(before: Subject | None) -> SubjectSpec:
        if before is None:
            raise SubjectNotFoundError("there is no such subject in this gallery")
        return body.over(before.spec)

    found, _ = await service.gallery.run(
        lambda g: g.change_subject(owner, gallery, subject, change, version)
    )
    return _tagged(response, found)


@router.get("/{subject}", summary="Get a subject", dependencies=[needs(Scope.READ)])
async def get(
    service: ServiceDep,
    owner: OwnerDep,
    gallery: GalleryName,
    subject: SubjectId,
    response: Response,
) -> SubjectOut:
    """What was said about a subject, and how many faces it has."""
    found = await service.gallery.run(lambda g: g.subject(owner, gallery, subject))
    return _tagged(response, found)


@router.get(
    "/{subject}/export",
    summary="Export a subject",
    dependencies=[needs(Scope.READ, Scope.EMBEDDINGS)],
)
async def export(
    service: ServiceDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
    subject: SubjectId,
) -> DossierOut:
    """All that is held about one person, features included, and about nobody else: what a request
    for access is answered with. The audit log besides has hashes of the id; `norma audit show`
    finds them."""
    held = await service.gallery.run(lambda g: g.dossier(owner, gallery, subject))
    return DossierOut.of(held, request_id)


@router.delete("/{subject}", summary="Erase a subject", dependencies=[needs(Scope.ENROL)])
async def erase(
    service: ServiceDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
    subject: SubjectId,
    version: VersionDep,
) -> ReceiptOut:
    """With all its faces: out of every search before the answer, out of every file by the time
    the receipt says `purged`. Conditional by If-Match."""
    receipt = await service.gallery.run(lambda g: g.erase_subject(owner, gallery, subject, version))
    return ReceiptOut.of(receipt, request_id)


def _tagged(response: Response, subject: Subject) -> SubjectOut:
    response.headers["etag"] = f'"{subject.version}"'
    return SubjectOut.of(subject)
