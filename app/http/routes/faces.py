"""Photos: their faces, or one face's feature of each."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.domain import Observation
from app.errors import NormaError
from app.http.access import CallerDep, needs
from app.http.bodies import one_or_many, photos
from app.http.deps import ServiceDep
from app.http.examples import DETECT, answer
from app.http.gallery.deps import OwnerDep
from app.http.openapi import CALLER_ERRORS, PHOTO_ERRORS, errors, one_or_many_body, photo_body
from app.http.packed import PACKED
from app.http.presence import present
from app.http.room import HAS_ROOM
from app.http.routing import StrictRoute
from app.http.schemas import (
    DetectOut,
    EmbeddedOut,
    EmbedItemOut,
    EmbedManyOut,
    EmbedOptions,
    EmbedOut,
    Encoding,
    FaceOut,
    ImageOut,
    ItemErrorOut,
    Options,
    PackagesOut,
)
from app.security.scopes import Scope
from app.service import Service
from app.settings import MOST_PHOTOS

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1",
    tags=["faces"],
    responses=errors(*CALLER_ERRORS, *PHOTO_ERRORS),
)


@router.post(
    "/detect",
    summary="Find faces",
    dependencies=[needs(Scope.VERIFY), HAS_ROOM],
    openapi_extra=photo_body(["image"]),
    responses=answer(DETECT),
)
async def detect(
    request: Request, service: ServiceDep, owner: OwnerDep, _: Annotated[Options, Query()]
) -> DetectOut:
    """Every face of a photo with box, score and five landmarks. No face is an empty list."""
    [photo] = await photos(request, ["image"])
    async with present(request):
        found = await service.detect(photo, service.engine.turn(owner))
    return DetectOut(
        image=ImageOut.of(found.image),
        faces=[FaceOut.of(face) for face in found.faces],
        detector=service.detector_package.name,
        timings_ms={
            "decode": round(found.timings.decode, 2),
            "detect": round(found.timings.detect, 2),
        },
        request_id=request.state.request_id,
    )


@router.post(
    "/embed",
    summary="Embed faces",
    dependencies=[needs(Scope.EMBEDDINGS), HAS_ROOM],
    openapi_extra=one_or_many_body(MOST_PHOTOS),
    responses=PACKED,
)
async def embed(
    request: Request,
    service: ServiceDep,
    caller: CallerDep,
    options: Annotated[EmbedOptions, Query()],
) -> EmbedOut | EmbedManyOut:
    """The raw feature of one face of a photo, with its norm and quality.

    A photo sent raw or as the field `image` is answered by itself. Several, under names of the
    caller's choice, are answered as `items`, each with its result or its error.
    """
    sent = await one_or_many(request, service.settings.max_photos)
    turn = service.engine.turn(caller.owner)
    how, policy = options.face_select, options.quality
    about = {"packages": packages_out(service), "request_id": request.state.request_id}
    async with present(request):
        if isinstance(sent, bytes):
            one = await service.observe(sent, how, policy, "query", turn)
            embedded = EmbeddedOut.with_feature(one, options.encoding)
            return EmbedOut(**dict(embedded), **about)
        service.guard.photos(caller, len(sent))
        found = await service.observe_each(sent, how, policy, turn)
    items = [_item(name, one, options.encoding) for name, one in found.items()]
    return EmbedManyOut(items=items, **about)


def _item(name: str, found: Observation | NormaError, encoding: Encoding) -> EmbedItemOut:
    if isinstance(found, NormaError):
        return EmbedItemOut(name=name, result=None, error=ItemErrorOut.of(found))
    result = EmbeddedOut.with_feature(found, encoding)
    return EmbedItemOut(name=name, result=result, error=None)


def packages_out(service: Service) -> PackagesOut:
    """Which packages answered."""
    return PackagesOut(
        detector=service.detector_package.name,
        recogniser=service.recogniser_package.name,
        contract_id=service.pipeline.recogniser.contract_id,
    )
