"""What enrolling, searching and checking a claim answer with."""

from typing import Literal, Self

from pydantic import Field

from app import decision
from app.domain import IdentifyThreshold, QualityPolicy, Verdict
from app.enrol import EnrolledPhotos
from app.errors import NormaError
from app.gallery.enrolment import EnrolmentAnswer
from app.gallery.types import Match, SearchAnswer
from app.http.gallery.schemas import EnrolledFaceOut, SubjectOut
from app.http.schemas import ItemErrorOut, Liveness, Out, PackagesOut, SideOut, ThresholdOut
from app.identify import Identification

FaceVerdict = Literal["match", "inconclusive", "unknown", "refused"]


class ConflictOut(Out):
    item: str = Field(description="The photo's name, or the feature's place from 0.")
    subject: str
    similarity: float


class RejectedOut(Out):
    item: str
    error: dict[str, object]


class EnrolOut(Out):
    subject: SubjectOut
    faces: list[EnrolledFaceOut] = Field(description="In the order of the items accepted.")
    accepted: list[str]
    rejected: list[RejectedOut]
    conflicts: list[ConflictOut]
    repeated: bool = Field(description="The idempotency key had come before: nothing was added.")
    revision: int
    liveness: Liveness = "not_performed"
    request_id: str

    @classmethod
    def of(cls, answer: EnrolmentAnswer, items: tuple[str, ...], request_id: str) -> Self:
        enrolled = answer.enrolled
        return cls(
            subject=SubjectOut.of(enrolled.subject),
            faces=[EnrolledFaceOut.of(face) for face in enrolled.faces],
            accepted=list(items),
            rejected=[],
            conflicts=[
                ConflictOut(
                    item=items[one.face],
                    subject=one.subject,
                    similarity=one.similarity,
                )
                for one in answer.conflicts
            ],
            repeated=answer.repeated,
            revision=enrolled.revision,
            request_id=request_id,
        )

    @classmethod
    def of_photos(cls, done: EnrolledPhotos, request_id: str) -> Self:
        rejected = [
            RejectedOut(item=name, error={"code": why.code, "message": why.message, **why.details})
            for name, why in done.rejected.items()
        ]
        answer = cls.of(done.answer, done.accepted, request_id)
        return answer.model_copy(update={"rejected": rejected})


class MatchOut(Out):
    subject: SubjectOut
    face: str = Field(description="The subject's nearest face.")
    similarity: float
    match: bool | None = Field(description="At the threshold; null where none was asked for.")
    verdict: Verdict | None = Field(description="As `match`, with the inconclusive zone.")

    @classmethod
    def of(cls, match: Match, threshold: IdentifyThreshold | None, digits: int) -> Self:
        verdict = threshold and decision.verdict(match.similarity, threshold)
        return cls(
            subject=SubjectOut.of(match.subject),
            face=match.face.uid,
            similarity=round(match.similarity, digits),
            match=verdict and verdict is Verdict.MATCH,
            verdict=verdict,
        )


class IdentifyThresholdOut(Out):
    value: float = Field(description="Cosine from which a candidate is a match.")
    faces: int = Field(description="Size of the gallery that it holds for.")
    source: Literal["calibration", "gallery", "request"]
    fpir: float | None
    fpir_interval: tuple[float, float] | None = Field(description="95% interval of that rate.")
    fmr: float | None = Field(description="Calibrated rate of one comparison behind it.")
    data: str | None = Field(description="What the rate was measured on.")
    review: float | None = Field(description="From here up to `value`: inconclusive.")
    review_fpir: float | None

    @classmethod
    def of(cls, threshold: IdentifyThreshold) -> Self:
        return cls(
            value=round(threshold.value, 5),
            faces=threshold.faces,
            source=threshold.source,
            fpir=threshold.fpir,
            fpir_interval=threshold.fpir_interval,
            fmr=threshold.fmr,
            data=threshold.data,
            review=None if threshold.review is None else round(threshold.review, 5),
            review_fpir=threshold.review_fpir,
        )


class SearchOut(Out):
    matches: list[MatchOut] = Field(description="Best first.")
    threshold: IdentifyThresholdOut | None
    exact: bool = Field(description="No enrolled subject can have been missed.")
    gallery_faces: int
    gallery_revision: int
    request_id: str

    @classmethod
    def of(
        cls,
        answer: SearchAnswer,
        threshold: IdentifyThreshold | None,
        digits: int,
        request_id: str,
    ) -> Self:
        return cls(
            matches=[MatchOut.of(match, threshold, digits) for match in answer.matches],
            threshold=threshold and IdentifyThresholdOut.of(threshold),
            exact=answer.exact,
            gallery_faces=answer.faces,
            gallery_revision=answer.revision,
            request_id=request_id,
        )


class ProbeOut(SideOut):
    """One face of the photo, and who it may be."""

    searched: bool = Field(description="False for a face too poor to search with.")
    verdict: FaceVerdict = Field(
        description="`unknown`: nobody enrolled reaches the threshold. `inconclusive`: the best "
        "candidate lies in the zone for review. `refused`: too poor to search with."
    )
    identified: str | None = Field(description="Id of the best match; null where it is unknown.")
    candidates: list[MatchOut] = Field(description="Best first, matches or not.")
    exact: bool = Field(description="No enrolled subject can have been missed.")
    gallery_faces: int | None
    gallery_revision: int | None

    @classmethod
    def found(cls, one: Identification, threshold: IdentifyThreshold, digits: int) -> Self:
        matches = () if one.answer is None else one.answer.matches
        candidates = [MatchOut.of(match, threshold, digits) for match in matches]
        best = candidates[0] if candidates else None
        return cls(
            **dict(SideOut.of(one.observed)),
            searched=one.answer is not None,
            verdict=_verdict(one, best),
            identified=best.subject.id if best and best.match else None,
            candidates=candidates,
            exact=one.answer is not None and one.answer.exact,
            gallery_faces=one.answer and one.answer.faces,
            gallery_revision=one.answer and one.answer.revision,
        )


def _verdict(one: Identification, best: MatchOut | None) -> FaceVerdict:
    if one.answer is None:
        return "refused"
    if best is None or best.verdict is None or best.verdict is Verdict.NO_MATCH:
        return "unknown"
    return "match" if best.verdict is Verdict.MATCH else "inconclusive"


class IdentifyOut(Out):
    faces: list[ProbeOut] = Field(description="The face selected, or all, the largest first.")
    threshold: IdentifyThresholdOut
    quality_policy: QualityPolicy
    packages: PackagesOut
    liveness: Liveness = "not_performed"
    request_id: str


class IdentifyItemOut(Out):
    name: str
    faces: list[ProbeOut] | None = Field(description="Null where this photo failed.")
    error: ItemErrorOut | None = Field(description="Why; null where it did not.")

    @classmethod
    def of(
        cls,
        name: str,
        found: list[Identification] | NormaError,
        threshold: IdentifyThreshold,
        digits: int,
    ) -> Self:
        if isinstance(found, NormaError):
            return cls(name=name, faces=None, error=ItemErrorOut.of(found))
        faces = [ProbeOut.found(one, threshold, digits) for one in found]
        return cls(name=name, faces=faces, error=None)


class IdentifyManyOut(Out):
    items: list[IdentifyItemOut] = Field(description="In the order sent.")
    threshold: IdentifyThresholdOut
    quality_policy: QualityPolicy
    packages: PackagesOut
    liveness: Liveness = "not_performed"
    request_id: str


class ClaimOut(Out):
    match: bool
    verdict: Verdict
    similarity: float
    score: float = Field(
        description="What the threshold was held against: the similarity, or its quality-aware "
        "form where the package was calibrated with that, as in /v1/verify."
    )
    threshold: ThresholdOut
    quality_policy: QualityPolicy
    subject: str
    image: SideOut
    packages: PackagesOut
    liveness: Liveness = "not_performed"
    request_id: str
