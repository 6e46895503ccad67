"""A gallery's health: what to look at, where it decides, whether the world has moved."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import Field

from app.gallery.health.examiner import Health
from app.gallery.health.findings import KINDS, Kind, Report
from app.gallery.health.naming import Named, NamedFace, NamedOutlier, NamedPair, NamedWeak
from app.gallery.service import GalleryService
from app.gallery.types import Gallery
from app.http.access import CallerDep, needs
from app.http.deps import ServiceDep
from app.http.gallery.answers import IdentifyThresholdOut
from app.http.gallery.deps import Cursor, GalleryName, Limit, OwnerDep
from app.http.openapi import CALLER_ERRORS, errors
from app.http.request_id import RequestIdDep
from app.http.routing import StrictRoute
from app.http.schemas import Out
from app.operating import Operating, operating
from app.rates.drift import Drift
from app.rates.own import OwnRates
from app.security.scopes import Scope

router = APIRouter(
    prefix="/v1/galleries/{gallery}/health",
    tags=["gallery health"],
    responses=errors(*CALLER_ERRORS, 404, 409, 422, 503),
    dependencies=[needs(Scope.ADMIN)],
    route_class=StrictRoute,
)


class HealthLimitsOut(Out):
    duplicate: float | None = Field(description="Cosine from which two subjects may be one.")
    outlier: float | None = Field(description="Cosine below which a face is unlike its own.")
    weak: float | None = Field(description="Norm that a subject's best face should have.")


class ReportOut(Out):
    """What was found at one revision. A count is null where that was not looked for: no rate or
    quality is known, or the gallery's terms compare no faces of different subjects."""

    revision: int
    subjects: int
    faces: int
    computed_at: int
    took_ms: int = Field(description="With its pauses.")
    faces_searched_for: int = Field(description="Of all; fewer than `faces` is a sample.")
    faces_held_against_their_own: int
    limits: HealthLimitsOut
    findings: dict[Kind, int | None]
    single_face_subjects: int

    @classmethod
    def of(cls, report: Report) -> Self:
        limits = report.limits
        return cls(
            revision=report.revision,
            subjects=report.subjects,
            faces=report.faces,
            computed_at=report.computed_at,
            took_ms=report.took_ms,
            faces_searched_for=report.examined.probes,
            faces_held_against_their_own=report.examined.within,
            limits=HealthLimitsOut(
                duplicate=limits.duplicate, outlier=limits.outlier, weak=limits.weak
            ),
            findings={kind: report.found[kind].total for kind in KINDS},
            single_face_subjects=report.single_face,
        )


class DepartureOut(Out):
    fpir_asked: float
    fpir_measured: float = Field(description="What the package's threshold gives here.")
    fpir_interval: tuple[float, float]
    departs: bool = Field(description="What was asked for lies outside the interval.")


class OwnOut(Out):
    """What the gallery's own people, strangers to one another, say about its error rates."""

    strangers: int = Field(description="People who were searched for as strangers.")
    set_aside: int = Field(description="More, perhaps enrolled twice: so alike is somebody.")
    faces: int
    supports_rate: bool = Field(description="Whether they suffice for the gallery's fpir.")

    @classmethod
    def of(cls, own: OwnRates, rate: float, faces: int) -> Self:
        return cls(
            strangers=len(own.top_M),
            set_aside=own.set_aside,
            faces=own.faces,
            supports_rate=own.supports(rate, faces),
        )


class OperatingOut(Out):
    threshold: IdentifyThresholdOut | None = Field(description="Where a search decides now.")
    package: IdentifyThresholdOut | None = Field(description="Where the package alone would.")
    own: OwnOut | None
    departure: DepartureOut | None

    @classmethod
    def of(cls, found: Operating, own: OwnRates | None, rate: float, faces: int) -> Self:
        departs = found.departure
        return cls(
            threshold=found.threshold and IdentifyThresholdOut.of(found.threshold),
            package=found.package and IdentifyThresholdOut.of(found.package),
            own=own and OwnOut.of(own, rate, faces),
            departure=departs
            and DepartureOut(
                fpir_asked=departs.asked,
                fpir_measured=departs.measured,
                fpir_interval=departs.interval,
                departs=departs.departs,
            ),
        )


class DriftOut(Out):
    live: int = Field(description="Live values so far; under 200 nothing is said.")
    index: float = Field(description="Population stability index against the reference.")
    by_chance: float = Field(description="What the index would be without any drift.")
    drifted: bool

    @classmethod
    def of(cls, drift: Drift) -> Self:
        return cls(
            live=drift.live,
            index=round(drift.index, 4),
            by_chance=round(drift.expected, 4),
            drifted=drift.drifted,
        )


class DriftsOut(Out):
    """Null without a reference yet: 200 strangers for scores, 1,000 live faces for norms."""

    scores: DriftOut | None = Field(description="Top scores of faces that found nobody.")
    norms: DriftOut | None


class GalleryHealthOut(Out):
    report: ReportOut | None = Field(description="Null before the first examination.")
    stale: bool = Field(description="The gallery has changed since.")
    pending: bool = Field(description="An examination has been asked for, or runs.")
    operating: OperatingOut
    drift: DriftsOut
    request_id: str


class FaceRefOut(Out):
    subject: str
    face: str

    @classmethod
    def of(cls, one: NamedFace) -> Self:
        return cls(subject=one.subject, face=one.face)


class PairOut(Out):
    """Two subjects by their nearest faces."""

    a: FaceRefOut
    b: FaceRefOut
    similarity: float
    misfiled: str | None = Field(
        description="The face that is unlike its own subject's others: rather a wrong photo than "
        "a person enrolled twice."
    )


class OutlierOut(Out):
    """A face that is unlike the others of its subject; of two faces, both are."""

    at: FaceRefOut
    similarity: float = Field(description="Cosine to the mean direction of the others.")
    faces: int
    nearer_subject: str | None = Field(description="Whom it is nearer to than to its own.")
    nearer_similarity: float | None


class WeakOut(Out):
    """A subject whose best face is under the enrolment gate."""

    at: FaceRefOut
    norm: float
    faces: int


class FindingsPage(Out):
    findings: list[PairOut | OutlierOut | WeakOut] = Field(description="Worst first.")
    total: int | None
    revision: int | None = Field(
        description="The gallery's, at which this was found; null before the first examination."
    )
    next_cursor: str | None = Field(description="Good until the gallery is examined anew.")
    request_id: str


@router.get("", summary="Get a gallery's health")
async def get(
    service: ServiceDep, owner: OwnerDep, request_id: RequestIdDep, gallery: GalleryName
) -> GalleryHealthOut:
    """The last report, the operating threshold and drift; from memory, whatever the size.

    Galleries that have changed are examined in the background.
    """
    found, health, own = await service.gallery.run(lambda g: _read(g, owner, gallery))
    return _health_out(service, found, health, own, request_id)


@router.post("", status_code=202, summary="Examine a gallery")
async def refresh(
    service: ServiceDep, owner: OwnerDep, request_id: RequestIdDep, gallery: GalleryName
) -> GalleryHealthOut:
    """Asks for an examination in the background, once however often it is asked."""
    found, health, own = await service.gallery.run(lambda g: _refreshed(g, owner, gallery))
    return _health_out(service, found, health, own, request_id)


@router.get("/findings", summary="List what was found in a gallery", responses=errors(400))
async def page(
    service: ServiceDep,
    caller: CallerDep,
    request_id: RequestIdDep,
    gallery: GalleryName,
    kind: Annotated[Kind, Query(description="What to list.")] = "duplicates",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> FindingsPage:
    """duplicates: pairs of subjects that may be one person. nearest: the most alike below that.
    outliers: faces unlike the others of their subject. weak: subjects without one good face.

    The 1,000 worst of each; who has been erased since is left out.
    """
    report, found, following = await service.gallery.run(
        lambda g: g.health_page(caller.owner, gallery, kind, cursor, limit)
    )
    return FindingsPage(
        findings=[_finding(one, caller.score_digits) for one in found],
        total=report and report.found[kind].total,
        revision=report and report.revision,
        next_cursor=following,
        request_id=request_id,
    )


def _read(store: GalleryService, owner: str, name: str) -> tuple[Gallery, Health, OwnRates | None]:
    found, own = store.gallery_and_rates(owner, name)
    return found, store.health.health(found), own


def _refreshed(
    store: GalleryService, owner: str, name: str
) -> tuple[Gallery, Health, OwnRates | None]:
    store.health.refresh(store.gallery(owner, name))
    return _read(store, owner, name)


def _health_out(
    service: ServiceDep, gallery: Gallery, health: Health, own: OwnRates | None, request_id: str
) -> GalleryHealthOut:
    rate = gallery.spec.policy.fpir or service.settings.fpir
    report = health.report
    return GalleryHealthOut(
        report=report and ReportOut.of(report),
        stale=report is None or report.revision != gallery.revision,
        pending=health.pending,
        operating=OperatingOut.of(
            operating(service.speaking(gallery.spec.contract_id), gallery, own),
            own,
            rate,
            gallery.faces,
        ),
        drift=DriftsOut(
            scores=health.scores and DriftOut.of(health.scores),
            norms=health.norms and DriftOut.of(health.norms),
        ),
        request_id=request_id,
    )


def _finding(one: Named, digits: int) -> PairOut | OutlierOut | WeakOut:
    if isinstance(one, NamedPair):
        return PairOut(
            a=FaceRefOut.of(one.a),
            b=FaceRefOut.of(one.b),
            similarity=round(one.similarity, digits),
            misfiled=one.misfiled,
        )
    if isinstance(one, NamedWeak):
        return WeakOut(at=FaceRefOut.of(one.at), norm=round(one.norm, 4), faces=one.faces)
    return _outlier(one, digits)


def _outlier(one: NamedOutlier, digits: int) -> OutlierOut:
    nearer = one.nearer_similarity
    return OutlierOut(
        at=FaceRefOut.of(one.at),
        similarity=round(one.similarity, digits),
        faces=one.faces,
        nearer_subject=one.nearer_subject,
        nearer_similarity=None if nearer is None else round(nearer, digits),
    )
