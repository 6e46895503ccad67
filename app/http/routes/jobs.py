"""Jobs: what runs, how far it is, and what became of each item."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path, Query
from pydantic import Field

from app.http.access import needs
from app.http.gallery.deps import Cursor, Limit, OwnerDep
from app.http.jobs import JobsDep
from app.http.openapi import CALLER_ERRORS, errors
from app.http.request_id import RequestIdDep
from app.http.routing import StrictRoute
from app.http.schemas import Out
from app.jobs.types import Item, Job, Outcome, State
from app.security.scopes import Scope

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/jobs",
    tags=["jobs"],
    responses=errors(*CALLER_ERRORS, 400, 404, 422, 503, 507),
)
JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of a job.")]


class ProgressOut(Out):
    done: int
    total: int | None = Field(description="Null where it is known only at the end.")
    enrolled: int
    skipped_duplicate: int
    refused: int
    seconds: float = Field(description="Time that it has run, without the time it waited.")
    per_second: float | None = Field(description="Items a second while it ran.")


class JobErrorOut(Out):
    code: str
    message: str


class JobOut(Out):
    id: str
    kind: str
    gallery: str = Field(description="Empty once the gallery is erased.")
    state: State = Field(
        description="A paused job goes on by itself: at the next start, or once there is space."
    )
    progress: ProgressOut
    error: JobErrorOut | None = Field(description="Why it failed, or what it waits for.")
    created_at: int
    updated_at: int
    finished_at: int | None

    @classmethod
    def of(cls, job: Job) -> Self:
        counts, seconds = job.counts, job.active_ms / 1000
        return cls(
            id=job.uid,
            kind=job.kind,
            gallery=job.gallery,
            state=job.state,
            progress=ProgressOut(
                done=counts.done,
                total=counts.done if job.state == "done" else counts.total,
                enrolled=counts.succeeded,
                skipped_duplicate=counts.skipped,
                refused=counts.refused,
                seconds=seconds,
                per_second=round(counts.position / seconds, 2) if seconds else None,
            ),
            error=None if job.error is None else JobErrorOut(**_error(job)),
            created_at=job.created_at,
            updated_at=job.updated_at,
            finished_at=job.finished_at,
        )


def _error(job: Job) -> dict[str, str]:
    assert job.error is not None  # noqa: S101 - asked for only then
    return {"code": job.error.code, "message": job.error.message}


class JobPage(Out):
    jobs: list[JobOut]
    next_cursor: str | None
    request_id: str


class ItemOut(Out):
    item: str = Field(description="A path in the archive, or a line of the manifest.")
    outcome: Outcome
    subject: str | None
    code: str | None = Field(description="Why it was refused.")
    reasons: list[str]
    quality: float | None

    @classmethod
    def of(cls, item: Item) -> Self:
        return cls(
            item=item.name,
            outcome=item.outcome,
            subject=item.subject,
            code=item.code,
            reasons=list(item.reasons),
            quality=item.quality,
        )


class ItemPage(Out):
    items: list[ItemOut]
    next_cursor: str | None
    request_id: str


@router.get("", summary="List jobs", dependencies=[needs(Scope.READ)])
async def page(
    jobs: JobsDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> JobPage:
    """The newest first. Finished ones are kept for 30 days."""
    found, following = await jobs.ledger.page(owner, cursor, limit)
    return JobPage(
        jobs=[JobOut.of(job) for job in found], next_cursor=following, request_id=request_id
    )


@router.get("/{job}", summary="Get a job", dependencies=[needs(Scope.READ)])
async def get(jobs: JobsDep, owner: OwnerDep, job: JobId) -> JobOut:
    """How far it is, and how fast."""
    return JobOut.of(await jobs.ledger.get(owner, job))


@router.get("/{job}/items", summary="What became of each item", dependencies=[needs(Scope.READ)])
async def items(
    jobs: JobsDep,
    owner: OwnerDep,
    request_id: RequestIdDep,
    job: JobId,
    outcome: Annotated[
        Literal["enrolled", "skipped_duplicate", "refused"] | None,
        Query(description="Only items of this outcome."),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ItemPage:
    """In the order of the source. Items of a subject that is erased are erased with it."""
    found = await jobs.ledger.get(owner, job)
    page, following = await jobs.ledger.items(found, cursor, limit, outcome)
    return ItemPage(
        items=[ItemOut.of(item) for item in page], next_cursor=following, request_id=request_id
    )


@router.delete("/{job}", summary="Cancel or forget a job", dependencies=[needs(Scope.ENROL)])
async def cancel(jobs: JobsDep, owner: OwnerDep, job: JobId) -> JobOut:
    """An unfinished job is cancelled: what it has enrolled stays. A finished one is forgotten,
    with its report."""
    found = await jobs.ledger.get(owner, job)
    if not found.finished:
        return JobOut.of(await jobs.runner.cancel(owner, job))
    await jobs.ledger.forget(found)
    return JobOut.of(found)
