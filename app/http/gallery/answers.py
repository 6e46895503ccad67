"""What enrolling, searching and checking a claim answer with."""

from typing import Literal, Self

from pydantic import Field

from app.domain import IdentifyThreshold, Verdict
from app.enrol import EnrolledPhotos
from app.gallery.enrolment import EnrolmentAnswer
from app.gallery.types import Match, SearchAnswer
from app.http.gallery.schemas import EnrolledFaceOut, SubjectOut
from app.http.schemas import Liveness, Out, PackagesOut, SideOut, ThresholdOut
from app.identify import Identification


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
                    similarity=round(one.similarity, 6),
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

    @classmethod
    def of(cls, match: Match, threshold: IdentifyThreshold | None) -> Self:
        return cls(
            subject=SubjectOut.of(match.subject),
            face=match.face.uid,
            similarity=round(match.similarity, 6),
            match=None if threshold is None else match.similarity >= threshold.value,
        )


class IdentifyThresholdOut(Out):
    value: float = Field(description="Cosine from which a candidate is a match.")
    faces: int = Field(description="Size of the gallery that it holds for.")
    source: Literal["calibration", "gallery", "request"]
    fpir: float | None
    fpir_interval: tuple[float, float] | None = Field(description="95% interval of that rate.")
    fmr: float | None = Field(description="Calibrated rate of one comparison behind it.")
    data: str | None = Field(description="What the rate was measured on.")

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
        )


class SearchOut(Out):
    matches: list[MatchOut] = Field(description="Best first.")
    threshold: IdentifyThresholdOut | None
    exact: bool = Field(description="No enrolled subject can have been missed.")
    gallery_faces: int
    gallery_revision: int
    request_id: str

    @classmethod
    def of(cls, answer: SearchAnswer, threshold: IdentifyThreshold | None, request_id: str) -> Self:
        return cls(
            matches=[MatchOut.of(match, threshold) for match in answer.matches],
            threshold=threshold and IdentifyThresholdOut.of(threshold),
            exact=answer.exact,
            gallery_faces=answer.faces,
            gallery_revision=answer.revision,
            request_id=request_id,
        )


class ProbeOut(SideOut):
    """One face of the photo, and who it may be."""

    searched: bool = Field(description="False for a face too poor to search with.")
    identified: str | None = Field(description="Id of the best match; null where it is unknown.")
    candidates: list[MatchOut] = Field(description="Best first, matches or not.")
    exact: bool = Field(description="No enrolled subject can have been missed.")
    gallery_faces: int | None
    gallery_revision: int | None

    @classmethod
    def found(cls, one: Identification, threshold: IdentifyThreshold) -> Self:
        matches = () if one.answer is None else one.answer.matches
        candidates = [MatchOut.of(match, threshold) for match in matches]
        best = next((c.subject.id for c in candidates if c.match), None)
        return cls(
            **dict(SideOut.of(one.observed)),
            searched=one.answer is not None,
            identified=best,
            candidates=candidates,
            exact=one.answer is not None and one.answer.exact,
            gallery_faces=one.answer and one.answer.faces,
            gallery_revision=one.answer and one.answer.revision,
        )


class IdentifyOut(Out):
    faces: list[ProbeOut] = Field(description="The face selected, or all, the largest first.")
    threshold: IdentifyThresholdOut
    packages: PackagesOut
    liveness: Liveness = "not_performed"
    request_id: str


class ClaimOut(Out):
    match: bool
    verdict: Verdict
    similarity: float
    threshold: ThresholdOut
    subject: str
    image: SideOut
    packages: PackagesOut
    liveness: Liveness = "not_performed"
    request_id: str
