"""Galleries: created, listed, erased."""

from fastapi import APIRouter, Response

from app.gallery.types import Gallery
from app.http.access import needs
from app.http.deps import ServiceDep
from app.http.gallery.deps import Cursor, GalleryName, Limit, OwnerDep, VersionDep
from app.http.gallery.schemas import ReceiptOut
from app.http.gallery.terms import GalleryIn, GalleryOut, GalleryPage, GalleryTerms
from app.http.openapi import BODY_ERRORS, CALLER_ERRORS, errors
from app.http.request_id import RequestIdDep
from app.http.routing import StrictRoute
from app.security.scopes import Scope

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/galleries",
    tags=["galleries"],
    responses=errors(*CALLER_ERRORS, 400, 404, *BODY_ERRORS, 409, 412, 422, 503, 507),
)


@router.post("", status_code=201, summary="Create a gallery", dependencies=[needs(Scope.ADMIN)])
async def create(
    service: ServiceDep, owner: OwnerDep, body: GalleryIn, response: Response
) -> GalleryOut:
    """A gallery keeps features of the (first) recogniser in use, and of no other.

    Searching it (1:N) has to be allowed here; without, photos are only held against one subject.
    """
    recogniser = service.pipeline.recogniser
    spec = body.spec(recogniser.contract_id, recogniser.dim)
    return _tagged(response, await service.gallery.run(lambda g: g.create_gallery(owner, spec)))


@router.get("", summary="List galleries", dependencies=[needs(Scope.READ)])
async def page(
    service: ServiceDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> GalleryPage:
    """By name. `next_cursor` is null on the last page."""
    found, following = await service.gallery.run(lambda g: g.galleries(owner, cursor, limit))
    return GalleryPage(
        galleries=[GalleryOut.of(one) for one in found],
        next_cursor=following,
        request_id=request_id,
    )


@router.get("/{gallery}", summary="Get a gallery", dependencies=[needs(Scope.READ)])
async def get(
    service: ServiceDep, owner: OwnerDep, gallery: GalleryName, response: Response
) -> GalleryOut:
    """Its terms, how many are in it, and its revision. The counts are kept, never counted.

    The ETag is of the terms: it stays while people come and go.
    """
    return _tagged(response, await service.gallery.run(lambda g: g.gallery(owner, gallery)))


@router.patch("/{gallery}", summary="Change a gallery's terms", dependencies=[needs(Scope.ADMIN)])
async def patch(
    service: ServiceDep,
    owner: OwnerDep,
    gallery: GalleryName,
    body: GalleryTerms,
    version: VersionDep,
    response: Response,
) -> GalleryOut:
    """The fields sent are replaced, the others stay; a rate sent as null is the service's default
    again. Conditional by If-Match.

    Limits under what is enrolled already, and a consent that is required from now on, hold for
    what comes.
    """
    found = await service.gallery.run(
        lambda g: g.change_gallery(owner, gallery, body.over, version)
    )
    return _tagged(response, found)


@router.delete("/{gallery}", summary="Erase a gallery", dependencies=[needs(Scope.ADMIN)])
async def erase(
    service: ServiceDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
    version: VersionDep,
) -> ReceiptOut:
    """With everybody in it. The receipt says whether every file has been cleaned already.
    Conditional by If-Match."""
    receipt = await service.gallery.run(lambda g: g.erase_gallery(owner, gallery, version))
    return ReceiptOut.of(receipt, request_id)


def _tagged(response: Response, gallery: Gallery) -> GalleryOut:
    response.headers["etag"] = f'"{gallery.version}"'
    return GalleryOut.of(gallery)
