"""Who is it (1:N), who looks like them, and is it this subject (1:1)?"""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from app.gallery.service import GalleryService, check_identify
from app.gallery.types import Gallery, SearchAnswer
from app.http.access import CallerDep, needs
from app.http.bodies import one_or_many, photos
from app.http.deps import ServiceDep
from app.http.gallery.answers import (
    ClaimOut,
    IdentifyItemOut,
    IdentifyManyOut,
    IdentifyOut,
    IdentifyThresholdOut,
    ProbeOut,
    SearchOut,
)
from app.http.gallery.deps import GalleryName, SubjectId
from app.http.gallery.schemas import ClaimOptions, IdentifyPhotoOptions, SearchIn, feature_of
from app.http.openapi import CALLER_ERRORS, PHOTO_ERRORS, errors, one_or_many_body, photo_body
from app.http.packed import PACKED
from app.http.presence import present
from app.http.request_id import RequestIdDep
from app.http.room import HAS_ROOM
from app.http.routes.faces import packages_out
from app.http.routing import StrictRoute
from app.http.schemas import SideOut, ThresholdOut
from app.identify import Identified, IdentifiedEach, check_claim, identify_each
from app.identify import Query as PhotoQuery
from app.identify import identify as identify_photo
from app.operating import Asked, search_threshold
from app.rates.own import OwnRates
from app.security.scopes import Scope
from app.service import Service
from app.settings import MOST_PHOTOS

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/galleries/{gallery}",
    tags=["identify"],
    responses=errors(*CALLER_ERRORS, 404, 409, *PHOTO_ERRORS),
)


@router.post(
    "/identify",
    summary="Identify faces",
    dependencies=[needs(Scope.IDENTIFY), HAS_ROOM],
    openapi_extra=one_or_many_body(MOST_PHOTOS),
    responses=PACKED,
)
async def identify(
    request: Request,
    service: ServiceDep,
    caller: CallerDep,
    gallery: GalleryName,
    options: Annotated[IdentifyPhotoOptions, Query()],
) -> IdentifyOut | IdentifyManyOut:
    """The subjects most like the face selected, or like each face of the photo.

    The threshold keeps a stranger's chance of any false match at `fpir` and so rises with the
    gallery; a rate that the calibration cannot support there is refused. A photo sent raw or as the
    field `image` is answered by itself; several, under names of the caller's choice, as `items`.
    Similarities have three decimals, six for a key with the scope `embeddings`.
    """
    sent = await one_or_many(request, service.settings.max_photos)
    place, turn = (caller.owner, gallery), service.engine.turn(caller.owner)
    digits = caller.score_digits
    terms = options.query(), options.search(), options.asked(), turn
    async with present(request):
        if isinstance(sent, bytes):
            found = await identify_photo(service, place, sent, *terms)
            return IdentifyOut(
                faces=[ProbeOut.found(one, found.threshold, digits) for one in found.faces],
                **_about(request, service, found),
            )
        service.guard.photos(caller, len(sent))
        many = await identify_each(service, place, sent, *terms)
    items = [IdentifyItemOut.of(*one, many.threshold, digits) for one in many.items.items()]
    return IdentifyManyOut(items=items, **_about(request, service, many))


def _about(
    request: Request, service: Service, found: Identified | IdentifiedEach
) -> dict[str, Any]:
    return {
        "threshold": IdentifyThresholdOut.of(found.threshold),
        "quality_policy": found.quality,
        "packages": packages_out(service.speaking(found.contract_id)),
        "request_id": request.state.request_id,
    }


@router.post(
    "/search", summary="Search by feature, face or subject", dependencies=[needs(Scope.IDENTIFY)]
)
async def search(
    service: ServiceDep,
    caller: CallerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
    body: SearchIn,
) -> SearchOut:
    """The subjects most like a feature, an enrolled face, or another subject.

    Nothing is decided unless a rate or a cosine is given. A feature needs the scope `embeddings`
    besides; similarities have three decimals without it.
    """
    if body.feature is not None:
        caller.require(Scope.EMBEDDINGS)
    owner = caller.owner
    found, own, answer = await service.gallery.run(
        partial(_search, owner=owner, gallery=gallery, body=body)
    )
    decides = body.fpir is not None or body.threshold is not None
    asked = Asked(body.fpir, body.threshold)
    speaking = service.speaking(found.spec.contract_id)
    threshold = search_threshold(speaking, found, answer.faces, asked, own) if decides else None
    return SearchOut.of(answer, threshold, caller.score_digits, request_id)


def _search(
    store: GalleryService, owner: str, gallery: str, body: SearchIn
) -> tuple[Gallery, OwnRates | None, SearchAnswer]:
    found, own = store.gallery_and_rates(owner, gallery)
    check_identify(found)
    return found, own, _answer(store, owner, found, body)


def _answer(store: GalleryService, owner: str, found: Gallery, body: SearchIn) -> SearchAnswer:
    options, gallery = body.options(), found.name
    if body.subject is not None:
        return store.search_subject(owner, gallery, body.subject, options)
    if body.face is not None:
        probe = store.face_feature(owner, gallery, body.face)
        return store.search(owner, gallery, probe, found.spec.contract_id, options)
    feature = feature_of(body.feature or "")
    return store.search(owner, gallery, feature, body.contract_id or "", options)


@router.post(
    "/verify/{subject}",
    summary="Compare a photo with a subject",
    dependencies=[needs(Scope.VERIFY), HAS_ROOM],
    openapi_extra=photo_body(["image"]),
)
async def verify(
    request: Request,
    service: ServiceDep,
    caller: CallerDep,
    gallery: GalleryName,
    subject: SubjectId,
    options: Annotated[ClaimOptions, Query()],
) -> ClaimOut:
    """Whether the photo shows this enrolled subject (1:1); no one else is looked at.

    `fmr` is the rate of one comparison: with `aggregate=max` a subject's many faces are as many
    chances. Scores are those of /v1/verify, with three decimals, six for a key with the scope
    `embeddings`. Tries on one subject are limited.
    """
    owner = caller.owner
    service.guard.claim(owner, gallery, subject)
    [photo] = await photos(request, ["image"])
    turn = service.engine.turn(owner)
    async with present(request):
        checked = await check_claim(
            service,
            (owner, gallery),
            subject,
            photo,
            PhotoQuery(options.face_select, options.quality),
            options.aggregate,
            options.asked(),
            turn,
        )
    return ClaimOut(
        match=checked.verdict == "match",
        verdict=checked.verdict,
        similarity=round(checked.likeness.similarity, caller.score_digits),
        score=round(checked.likeness.score, caller.score_digits),
        threshold=ThresholdOut.of(checked.threshold),
        quality_policy=checked.quality,
        subject=subject,
        image=SideOut.of(checked.observed),
        packages=packages_out(service.speaking(checked.contract_id)),
        request_id=request.state.request_id,
    )
