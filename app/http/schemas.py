"""What goes over the wire. Coordinates are pixels of the upright image as it was sent."""

import base64
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.domain import (
    Face,
    FaceSelect,
    Image,
    Observation,
    QualityPolicy,
    Timings,
    Verdict,
    VerifyThreshold,
)
from app.errors import NormaError
from export.contract import LANDMARKS

Point = tuple[float, float]
Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Cosine = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Liveness = Literal["not_performed"]


Encoding = Literal["json", "base64", "base64-float16"]


class Options(BaseModel):
    """Query parameters. Unknown ones are refused: a misspelt threshold must not go unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FaceOptions(Options):
    face_select: FaceSelect = Field(
        FaceSelect.LARGEST, description="Which face counts where an image shows several."
    )
    quality: QualityPolicy = Field(
        QualityPolicy.REJECT, description="Refuse poor faces, only report them, or do not look."
    )


class EmbedOptions(FaceOptions):
    encoding: Encoding = Field(
        "json",
        description="The feature as numbers, or as base64 of little-endian float32 or float16; in "
        "MessagePack as those bytes.",
    )


class VerifyOptions(FaceOptions):
    fmr: Rate | None = Field(
        None, description="False match rate to decide at; the service's default where absent."
    )
    threshold: Cosine | None = Field(
        None, description="A cosine to decide at instead; its error rate is then unknown."
    )

    review_fmr: Rate | None = Field(
        None,
        description="A looser rate: similarities between its threshold and the match's are "
        "inconclusive, for a person to look at.",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.threshold is not None and (self.fmr is not None or self.review_fmr is not None):
            raise ValueError("give rates (fmr, review_fmr) or a threshold, not both")
        return self


class Out(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


class ImageOut(Out):
    width: int
    height: int
    format: str

    @classmethod
    def of(cls, image: Image) -> Self:
        return cls(width=image.width, height=image.height, format=image.format)


class BoxOut(Out):
    left: float
    top: float
    right: float
    bottom: float


class FaceOut(Out):
    box: BoxOut
    score: float = Field(description="The detector's confidence, 0–1.")
    landmarks: dict[str, Point] = Field(
        description="left_eye, right_eye, nose, left_mouth, right_mouth, as seen in the image."
    )

    @classmethod
    def of(cls, face: Face) -> Self:
        box = face.box
        points = [(round(float(x), 2), round(float(y), 2)) for x, y in face.landmarks]
        return cls(
            box=BoxOut(
                left=round(box.left, 2),
                top=round(box.top, 2),
                right=round(box.right, 2),
                bottom=round(box.bottom, 2),
            ),
            score=round(face.score, 4),
            landmarks=dict(zip(LANDMARKS, points, strict=True)),
        )


class QualityOut(Out):
    norm: float = Field(description="L2 norm of the raw feature.")
    score: float | None = Field(description="0–100 where the package has a quality curve.")
    basis: Literal["norm", "none"]
    reasons: list[str] = Field(description="Why the face is poor; empty where it is not.")

    @classmethod
    def of(cls, observed: Observation) -> Self:
        quality = observed.quality
        return cls(
            norm=round(quality.norm, 4),
            score=None if quality.score is None else round(quality.score, 1),
            basis=quality.basis,
            reasons=list(quality.reasons),
        )


class TimingsOut(Out):
    decode: float
    detect: float
    align: float
    embed: float

    @classmethod
    def of(cls, timings: Timings) -> Self:
        return cls(
            decode=round(timings.decode, 2),
            detect=round(timings.detect, 2),
            align=round(timings.align, 2),
            embed=round(timings.embed, 2),
        )


class PackagesOut(Out):
    detector: str
    recogniser: str
    contract_id: str = Field(description="The feature space; features of two never compare.")


class DetectOut(Out):
    image: ImageOut
    faces: list[FaceOut] = Field(description="Best score first.")
    detector: str
    timings_ms: dict[str, float]
    request_id: str


class SideOut(Out):
    """One image of an answer: what was seen, and how good it is."""

    image: ImageOut
    face: FaceOut
    faces_found: int
    quality: QualityOut
    timings_ms: TimingsOut

    @classmethod
    def of(cls, observed: Observation) -> Self:
        return cls(
            image=ImageOut.of(observed.image),
            face=FaceOut.of(observed.face),
            faces_found=observed.face_count,
            quality=QualityOut.of(observed),
            timings_ms=TimingsOut.of(observed.timings),
        )


class EmbeddedOut(SideOut):
    feature: list[float] | str = Field(description="Raw, un-normalised: its length is the norm.")
    dim: int

    @classmethod
    def with_feature(cls, observed: Observation, encoding: Encoding) -> Self:
        feature = observed.embedding.feature
        return cls(
            **dict(SideOut.of(observed)), feature=_encoded(feature, encoding), dim=feature.size
        )


def _encoded(feature: NDArray[np.float32], encoding: Encoding) -> list[float] | str:
    if encoding == "json":
        return [float(value) for value in feature]
    kind = "<f2" if encoding == "base64-float16" else "<f4"
    return base64.b64encode(feature.astype(kind).tobytes()).decode()


class EmbedOut(EmbeddedOut):
    packages: PackagesOut
    liveness: Liveness = "not_performed"
    request_id: str


class ItemErrorOut(Out):
    """What an error's body holds, for one photo of several."""

    model_config = ConfigDict(extra="allow")
    code: str = Field(description="Stable; for machines.")
    message: str = Field(description="For people; may change.")

    @classmethod
    def of(cls, error: NormaError) -> Self:
        return cls(code=error.code, message=error.message, **error.details)


class EmbedItemOut(Out):
    name: str
    result: EmbeddedOut | None = Field(description="Null where this photo failed.")
    error: ItemErrorOut | None = Field(description="Why; null where it did not.")


class EmbedManyOut(Out):
    items: list[EmbedItemOut] = Field(description="In the order sent.")
    packages: PackagesOut
    liveness: Liveness = "not_performed"
    request_id: str


class ThresholdOut(Out):
    value: float = Field(description="Cosine similarity from which two faces match.")
    source: Literal["calibration", "request"]
    fmr: float | None = Field(description="The calibrated false match rate at that cosine.")
    fmr_interval: tuple[float, float] | None = Field(description="95% interval of that rate.")
    data: str | None = Field(description="What the rate was measured on.")
    review: float | None = Field(description="From here up to `value`: inconclusive.")
    review_fmr: float | None

    @classmethod
    def of(cls, threshold: VerifyThreshold) -> Self:
        return cls(
            value=round(threshold.value, 5),
            source=threshold.source,
            fmr=threshold.fmr,
            fmr_interval=_significant(threshold.fmr_interval),
            data=threshold.data,
            review=None if threshold.review is None else round(threshold.review, 5),
            review_fmr=threshold.review_fmr,
        )


def _significant(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return interval and (float(f"{interval[0]:.3g}"), float(f"{interval[1]:.3g}"))


class VerifyOut(Out):
    match: bool
    verdict: Verdict = Field(description="`inconclusive` only where review_fmr was given.")
    similarity: float = Field(description="Cosine of the two features, −1 to 1.")
    score: float = Field(
        description="What the threshold was held against: the similarity, or its quality-aware "
        "form where the package was calibrated with that."
    )
    threshold: ThresholdOut
    identical_image: bool = Field(description="Both files hold the same bytes.")
    quality_policy: QualityPolicy
    image_a: SideOut
    image_b: SideOut
    packages: PackagesOut
    liveness: Liveness = Field(
        "not_performed", description="Nothing here tells a person from a photo of one."
    )
    total_ms: float
    request_id: str


class LicenceOut(Out):
    name: str
    commercial_use: bool
    url: str | None
    note: str | None


class ModelOut(Out):
    name: str
    kind: str
    version: str
    description: str
    in_use: bool
    source: str
    licence: LicenceOut
    training_data: str
    loss: str
    contract_id: str | None
    dim: int | None
    calibrated: bool
    quality_basis: Literal["norm", "none"] | None
    provider: str | None = Field(description="Where ONNX Runtime runs it, for those in use.")


class ModelsOut(Out):
    models: list[ModelOut]
    unusable: dict[str, str] = Field(description="Installed, but damaged: name and reason.")


class ErrorBody(BaseModel):
    model_config = ConfigDict(extra="allow")
    code: str = Field(description="Stable; for machines.")
    message: str = Field(description="For people; may change.")


class ErrorOut(Out):
    error: ErrorBody
    request_id: str | None
