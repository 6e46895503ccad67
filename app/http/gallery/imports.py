"""Whole galleries in and out: imports as jobs, exports as a stream."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.requests import ClientDisconnect

from app.enrol import conflict_from
from app.errors import BodyUnsupportedError, InputError, StorageFullError
from app.gallery.rows.common import new_uid
from app.gallery.types import Gallery
from app.http.access import CallerDep, needs
from app.http.deps import ServiceDep
from app.http.gallery.deps import GalleryName, IdempotencyKey, OwnerDep
from app.http.gallery.schemas import GalleryFaceOptions
from app.http.jobs import JobsDep
from app.http.openapi import CALLER_ERRORS, errors
from app.http.routes.jobs import JobOut
from app.http.routing import StrictRoute
from app.http.schemas import Cosine
from app.jobs.imports import ImportOptions
from app.jobs.ledger import Request as SameRequest
from app.jobs.sources.entries import Format, Layout
from app.jobs.spool import SpoolWriter
from app.security.caller import Caller
from app.security.scopes import Scope
from app.service import Service

router = APIRouter(
    route_class=StrictRoute, prefix="/v1/galleries/{gallery}", tags=["import and export"]
)
FORMATS: dict[str, Format] = {
    "application/zip": "zip",
    "application/x-tar": "tar",
    "application/gzip": "tar",
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
}
NDJSON = "application/x-ndjson"
_PIECE = 1024 * 1024


class ImportQuery(GalleryFaceOptions):
    layout: Layout = Field(
        "folders",
        description="Whom a photo without a manifest shows: its folder's name, or its own.",
    )
    conflict_similarity: Cosine | None = Field(
        None,
        description="Cosine from which a face counts as another subject's; where absent, the "
        "threshold of the gallery's FPIR among its faces.",
    )
    consent_ref: str | None = Field(
        None, max_length=256, description="Of new subjects of whom no manifest says it."
    )


def _body() -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in FORMATS}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/imports",
    status_code=202,
    summary="Import an archive or a manifest",
    dependencies=[needs(Scope.ENROL)],
    openapi_extra=_body(),
    responses=errors(*CALLER_ERRORS, 400, 404, 408, 409, 413, 415, 422, 503, 507),
)
async def begin(
    request: Request,
    response: Response,
    service: ServiceDep,
    jobs: JobsDep,
    caller: CallerDep,
    gallery: GalleryName,
    options: Annotated[ImportQuery, Query()],
    idempotency_key: IdempotencyKey = None,
) -> JobOut:
    """A job that enrols every photo of a ZIP or tar archive, or every feature of a manifest.

    PERSON/FILE.jpg is a photo of PERSON; a `manifest.ndjson` or `manifest.csv` in the archive says
    more. A photo that its subject has already is skipped, so that the same upload twice adds
    nothing twice. The job goes on when the caller leaves and when the service restarts. The upload
    is on disk until then, encrypted with a key of its own; no photo is ever there in the clear.
    Features, alone or in an archive's manifest, need the scope embeddings besides.
    """
    owner = caller.owner
    wanted = _options(request, options, caller)
    found = await service.gallery.run(lambda g: g.gallery(owner, gallery))
    _check(service, found, wanted)
    spool = await asyncio.to_thread(jobs.spools.create, new_uid())
    try:
        digest = await _receive(request, spool, f"{gallery} {json.dumps(wanted.to_json())}")
        await asyncio.to_thread(jobs.begin, spool, wanted)
        same = None if idempotency_key is None else SameRequest(idempotency_key, digest)
        job = await jobs.queue(owner, gallery, spool, wanted, same)
    except BaseException:
        spool.discard()
        raise
    response.headers["location"] = f"/v1/jobs/{job.uid}"
    return JobOut.of(job)


def _check(service: Service, gallery: Gallery, wanted: ImportOptions) -> None:
    """Raises what would refuse every item: PolicyForbidsError, CalibrationMissingError."""
    gallery.spec.policy.enrol.granted(wanted.quality, "enrol")
    conflict_from(service, gallery, wanted.conflict_similarity)


def _options(request: Request, options: ImportQuery, caller: Caller) -> ImportOptions:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in FORMATS:
        accepted = tuple(FORMATS)
        raise BodyUnsupportedError(f"send one of {', '.join(accepted)}", accepted=accepted)
    if FORMATS[kind] in ("ndjson", "csv"):
        caller.require(Scope.EMBEDDINGS)
    return ImportOptions(
        FORMATS[kind],
        options.layout,
        options.face_select,
        options.quality,
        options.conflict_similarity,
        options.consent_ref,
        features=Scope.EMBEDDINGS in caller.scopes,
    )


async def _receive(request: Request, spool: SpoolWriter, head: str) -> bytes:
    """The body into the spool; a digest of `head` and body."""
    digest = hashlib.sha256(head.encode())
    pending = bytearray()

    def put(piece: bytes) -> None:
        digest.update(piece)
        spool.write(piece)

    try:
        async for piece in request.stream():
            pending += piece
            if len(pending) >= _PIECE:
                await asyncio.to_thread(put, bytes(pending))
                pending.clear()
        await asyncio.to_thread(put, bytes(pending))
    except ClientDisconnect as error:
        raise InputError("the client left before the body was complete") from error
    except OSError as error:
        raise StorageFullError("no space left for the upload; nothing was kept") from error
    return digest.digest()


@router.get(
    "/export",
    summary="Export a gallery",
    dependencies=[needs(Scope.READ, Scope.EMBEDDINGS)],
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {}}}, **errors(*CALLER_ERRORS, 404, 503)},
)
async def export_gallery(
    service: ServiceDep, owner: OwnerDep, gallery: GalleryName
) -> StreamingResponse:
    """A line of JSON for each subject, with everything that is kept of it, features included but
    no pictures of a vault: what an import reads. It is legible to whoever holds it.

    Subjects come by id; those that change meanwhile may be in it as before or as after.
    """
    found = await service.gallery.run(lambda g: g.export(owner, gallery))

    def lines() -> Iterator[bytes]:
        for line in found:
            yield line.encode() + b"\n"

    return StreamingResponse(lines(), media_type=NDJSON)
