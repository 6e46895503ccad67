"""Galleries: created, listed, erased."""

from fastapi import APIRouter

from app.http.deps import ServiceDep
from app.http.gallery.deps import Cursor, GalleryName, Limit, OwnerDep
from app.http.gallery.schemas import GalleryIn, GalleryOut, GalleryPage, ReceiptOut
from app.http.openapi import errors
from app.http.request_id import RequestIdDep

router = APIRouter(
    prefix="/v1/galleries", tags=["galleries"], responses=errors(400, 404, 409, 422, 503, 507)
)


@router.post("", status_code=201, summary="Create a gallery")
async def create(service: ServiceDep, owner: OwnerDep, body: GalleryIn) -> GalleryOut:
    """A gallery keeps features of the recogniser in use, and of no other.

    Searching it (1:N) has to be allowed here; without, photos are only held against one subject.
    """
    recogniser = service.pipeline.recogniser
    spec = body.spec(recogniser.contract_id, recogniser.dim)
    return GalleryOut.of(await service.gallery.run(lambda g: g.create_gallery(owner, spec)))


@router.get("", summary="List galleries")
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


@router.get("/{gallery}", summary="Get a gallery")
async def get(service: ServiceDep, owner: OwnerDep, gallery: GalleryName) -> GalleryOut:
    """Its terms, how many are in it, and its revision. The counts are kept, never counted."""
    return GalleryOut.of(await service.gallery.run(lambda g: g.gallery(owner, gallery)))


@router.delete("/{gallery}", summary="Erase a gallery")
async def erase(
    service: ServiceDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
) -> ReceiptOut:
    """With everybody in it. The receipt says whether every file has been cleaned already."""
    receipt = await service.gallery.run(lambda g: g.erase_gallery(owner, gallery))
    return ReceiptOut.of(receipt, request_id)
