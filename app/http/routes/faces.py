"""One photo: its faces, or one face's feature."""

import base64
from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.domain import Observation
from app.http.access import needs
from app.http.bodies import photos
from app.http.deps import ServiceDep
from app.http.examples import DETECT, answer
from app.http.gallery.deps import OwnerDep
from app.http.openapi import CALLER_ERRORS, PHOTO_ERRORS, errors, photo_body
from app.http.presence import present
from app.http.routing import StrictRoute
from app.http.schemas import (
    DetectOut,
    EmbedOptions,
    EmbedOut,
    FaceOut,
    ImageOut,
    Options,
    PackagesOut,
    SideOut,
)
from app.security.scopes import Scope
from app.service import Service

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1",
    tags=["faces"],
    responses=errors(*CALLER_ERRORS, *PHOTO_ERRORS),
)


@router.post(
    "/detect",
    summary="Find faces",
    dependencies=[needs(Scope.VERIFY)],
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
    summary="Embed one face",
    dependencies=[needs(Scope.EMBEDDINGS)],
    openapi_extra=photo_body(["image"]),
)
async def embed(
    request: Request,
    service: ServiceDep,
    owner: OwnerDep,
    options: Annotated[EmbedOptions, Query()],
) -> EmbedOut:
    """The raw feature of one face, with its norm and quality."""
    [photo] = await photos(request, ["image"])
    turn = service.engine.turn(owner)
    async with present(request):
        observed = await service.observe(photo, options.face_select, options.quality, "query", turn)
    return EmbedOut(
        **dict(SideOut.of(observed)),
        feature=_feature(observed, options.encoding),
        dim=observed.embedding.feature.size,
        packages=packages_out(service),
        request_id=request.state.request_id,
    )


def packages_out(service: Service) -> PackagesOut:
    """Which packages answered."""
    return PackagesOut(
        detector=service.detector_package.name,
        recogniser=service.recogniser_package.name,
        contract_id=service.pipeline.recogniser.contract_id,
    )


def _feature(observed: Observation, encoding: str) -> list[float] | str:
    feature = observed.embedding.feature
    if encoding == "base64":
        return base64.b64encode(feature.astype("<f4").tobytes()).decode()
    return [float(value) for value in feature]
