"""A gallery's move to another recogniser: computed, compared, cut over, rolled back, finished."""

from typing import Self

from fastapi import APIRouter, Response
from pydantic import Field

from app.gallery.comparison import Comparison, Shift
from app.gallery.mover import Progress
from app.http.access import needs
from app.http.gallery.deps import GalleryName, OwnerDep
from app.http.jobs import JobsDep
from app.http.openapi import CALLER_ERRORS, errors
from app.http.request_id import RequestIdDep
from app.http.routes.jobs import JobOut
from app.http.routing import StrictRoute
from app.http.schemas import Out
from app.security.scopes import Scope

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/galleries/{gallery}/migration",
    tags=["galleries"],
    dependencies=[needs(Scope.ADMIN)],
    responses=errors(*CALLER_ERRORS, 404, 409, 422, 503, 507),
)


class ShiftOut(Out):
    """Cosines of pairs of faces; null where there is no such pair."""

    pairs: int
    mean: float | None
    other_mean: float | None
    deviation: float | None
    other_deviation: float | None

    @classmethod
    def of(cls, shift: Shift) -> Self:
        return cls(
            pairs=shift.pairs,
            mean=shift.mean_here,
            other_mean=shift.mean_there,
            deviation=shift.deviation_here,
            other_deviation=shift.deviation_there,
        )


class AtRateOut(Out):
    """Cosines that keep an FMR among the drawn faces, and the FNMR that they give."""

    fmr: float
    threshold: float
    other_threshold: float
    fnmr: float | None
    other_fnmr: float | None


class ComparisonOut(Out):
    """Enrolled faces, each searched for among the others: now, and on the other side."""

    faces: int = Field(description="Drawn from the gallery, the same ones each time.")
    subjects: int
    agree: int = Field(description="Faces to which the same subject is nearest on both sides.")
    mated: int = Field(description="Faces whose subject has another one.")
    right: int = Field(description="Of these, those that find it.")
    other_right: int
    genuine: ShiftOut
    impostor: ShiftOut
    at: list[AtRateOut] = Field(description="Rates that the comparisons support (3/FMR).")

    @classmethod
    def of(cls, one: Comparison) -> Self:
        return cls(
            faces=one.faces,
            subjects=one.subjects,
            agree=one.agree,
            mated=one.mated,
            right=one.right_here,
            other_right=one.right_there,
            genuine=ShiftOut.of(one.genuine),
            impostor=ShiftOut.of(one.impostor),
            at=[
                AtRateOut(
                    fmr=at.fmr,
                    threshold=at.threshold_here,
                    other_threshold=at.threshold_there,
                    fnmr=at.fnmr_here,
                    other_fnmr=at.fnmr_there,
                )
                for at in one.at
            ],
        )


class LostOut(Out):
    subject: str
    face: str


class MigrationOut(Out):
    contract_id: str = Field(description="The space that the gallery is searched in now.")
    other_contract_id: str = Field(
        description="The one to move to; once cut over, the one to roll back to."
    )
    cut_over: bool
    faces: int
    computed: int = Field(description="Faces with a feature on the other side.")
    without_picture: int = Field(
        description="Faces with neither that nor a picture in the vault to compute it from. They "
        "hold the cut-over up until they are erased, or enrolled again from photos."
    )
    listed: list[LostOut] = Field(description="The first of these.")
    comparison: ComparisonOut | None = Field(
        description="Of faces with features on both sides; null where there are fewer than two."
    )
    request_id: str

    @classmethod
    def of(cls, found: Progress, request_id: str) -> Self:
        return cls(
            contract_id=found.gallery.spec.contract_id,
            other_contract_id=found.move.contract_id,
            cut_over=found.move.moved,
            faces=found.gallery.faces,
            computed=found.computed,
            without_picture=found.lost,
            listed=[LostOut(subject=one.subject, face=one.uid) for one in found.listed],
            comparison=found.comparison and ComparisonOut.of(found.comparison),
            request_id=request_id,
        )


class FinishedOut(Out):
    purged: bool = Field(description="No file of the service holds the other side any more.")
    request_id: str


@router.post("", status_code=202, summary="Compute features for the other recogniser")
async def begin(jobs: JobsDep, owner: OwnerDep, gallery: GalleryName, response: Response) -> JobOut:
    """A job that computes, from the vault, what the gallery's faces are to the other one of the
    two recognisers in use (`NORMA_NEXT_RECOGNISER`). Nothing else changes.

    Asked again, it goes on with the faces enrolled since.
    """
    job = await jobs.migrator.begin(owner, gallery)
    jobs.runner.wake()
    response.headers["location"] = f"/v1/jobs/{job.uid}"
    return JobOut.of(job)


@router.get("", summary="Compare the two recognisers")
async def progress(
    jobs: JobsDep, owner: OwnerDep, gallery: GalleryName, request_id: RequestIdDep
) -> MigrationOut:
    """How far it is, and how the two recognisers differ on the gallery's own faces."""
    return MigrationOut.of(await jobs.migrator.progress(owner, gallery), request_id)


@router.post("/cutover", summary="Move the gallery to the other recogniser")
async def cut_over(
    jobs: JobsDep, owner: OwnerDep, gallery: GalleryName, request_id: RequestIdDep
) -> MigrationOut:
    """In one transaction: a search sees one side or the other. Refused (`move_unfinished`) while a
    face has no feature there, or a job of the gallery runs."""
    found = await jobs.migrator.cut_over(owner, gallery, back=False)
    return MigrationOut.of(found, request_id)


@router.post("/rollback", summary="Move the gallery back")
async def roll_back(
    jobs: JobsDep, owner: OwnerDep, gallery: GalleryName, request_id: RequestIdDep
) -> MigrationOut:
    """As the cut-over, to where the gallery came from; with the faces enrolled since."""
    found = await jobs.migrator.cut_over(owner, gallery, back=True)
    return MigrationOut.of(found, request_id)


@router.delete("", summary="Finish the move")
async def finish(
    jobs: JobsDep, owner: OwnerDep, gallery: GalleryName, request_id: RequestIdDep
) -> FinishedOut:
    """Erases the side that is not in use: after it there is no way back, before it none ahead."""
    purged = await jobs.migrator.finish(owner, gallery)
    return FinishedOut(purged=purged, request_id=request_id)
