"""1:1: do two photos show the same person?"""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.http.access import needs
from app.http.bodies import photos
from app.http.deps import ServiceDep
from app.http.examples import VERIFY, answer
from app.http.gallery.deps import OwnerDep
from app.http.openapi import CALLER_ERRORS, PHOTO_ERRORS, errors, photo_body
from app.http.presence import present
from app.http.room import HAS_ROOM
from app.http.routes.faces import packages_out
from app.http.routing import StrictRoute
from app.http.schemas import SideOut, ThresholdOut, VerifyOptions, VerifyOut
from app.security.scopes import Scope

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1",
    tags=["verify"],
    responses=errors(*CALLER_ERRORS, *PHOTO_ERRORS, 409),
)

IMAGES = ("image_a", "image_b")


@router.post(
    "/verify",
    summary="Compare two faces",
    dependencies=[needs(Scope.VERIFY), HAS_ROOM],
    openapi_extra=photo_body(IMAGES),
    responses=answer(VERIFY),
)
async def verify(
    request: Request,
    service: ServiceDep,
    owner: OwnerDep,
    options: Annotated[VerifyOptions, Query()],
) -> VerifyOut:
    """Whether two photos show the same person, at a stated false match rate.

    The answer carries its evidence: similarity, threshold and where it came from, both faces and
    their quality. A face too poor to decide on is refused with its reasons.
    """
    threshold = service.threshold(options.fmr, options.threshold, options.review_fmr)
    photo_a, photo_b = await photos(request, IMAGES)
    turn = service.engine.turn(owner)
    async with present(request):
        answer = await service.verify(
            (photo_a, photo_b), options.face_select, options.quality, threshold, turn
        )
    return VerifyOut(
        match=answer.decision.match,
        verdict=answer.decision.verdict,
        similarity=round(answer.decision.similarity, 6),
        score=round(answer.decision.score, 6),
        threshold=ThresholdOut.of(answer.decision.threshold),
        identical_image=answer.decision.identical_image,
        quality_policy=options.quality,
        image_a=SideOut.of(answer.a),
        image_b=SideOut.of(answer.b),
        packages=packages_out(service),
        total_ms=round(answer.total_ms, 2),
        request_id=request.state.request_id,
    )
