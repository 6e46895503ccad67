"""What the galleries' routes exchange. Times are milliseconds since the epoch, UTC."""

import base64
import binascii
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    WithJsonSchema,
    model_validator,
)

from app.domain import Box, FaceSelect, QualityPolicy
from app.errors import FeatureInvalidError
from app.gallery.erasure import Receipt
from app.gallery.search import SearchOptions
from app.gallery.types import (
    Aggregate,
    Filter,
    NewFace,
    StoredFace,
    Subject,
    SubjectSpec,
)
from app.http import strict_json
from app.http.inputs import In
from app.http.schemas import BoxOut, Cosine, Options, Out, Rate
from app.identify import Query
from app.operating import Asked
from app.security.audit.event import Head

Name = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]{0,127}|\.[A-Za-z0-9_-][A-Za-z0-9._-]{0,126}"
        r"|\.\.[A-Za-z0-9._-]{1,126})$"
    ),
]
"""1 to 128 letters, digits, dots, dashes and underscores, but not one or two dots alone."""
Scalar = bool | int | float | str | None


def _from_query(text: object) -> object:
    return strict_json.loads(text.encode()) if isinstance(text, str) else text


QueryObject = Annotated[
    dict[str, Scalar],
    BeforeValidator(_from_query),
    WithJsonSchema({"type": "string", "contentMediaType": "application/json"}),
]
"""A JSON object as the text of a query parameter."""


class SubjectIn(In):
    name: str | None = Field(None, max_length=256)
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    tags: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(
        default_factory=list, max_length=32
    )
    consent_ref: str | None = Field(None, max_length=256)
    expires_at: int | None = Field(
        None, ge=0, le=2**53, description="When the subject erases itself."
    )

    def over(self, before: SubjectSpec | None) -> SubjectSpec:
        """With the fields that the caller sent replaced, the others as before."""
        sent = {name: getattr(self, name) for name in self.model_fields_set}
        if "tags" in sent:
            sent["tags"] = tuple(self.tags)
        return SubjectSpec(**{**_fields(before or SubjectSpec()), **sent})

    def spec(self) -> SubjectSpec:
        return SubjectSpec(
            self.name, self.metadata, tuple(self.tags), self.consent_ref, self.expires_at
        )


def _fields(spec: SubjectSpec) -> dict[str, object]:
    names = ("name", "metadata", "tags", "consent_ref", "expires_at")
    return {name: getattr(spec, name) for name in names}


class SubjectOut(Out):
    id: str = Field(description="The caller's own.")
    name: str | None
    metadata: dict[str, JsonValue]
    tags: list[str]
    consent_ref: str | None
    expires_at: int | None
    faces: int
    version: int = Field(description="Also the ETag.")
    created_at: int
    updated_at: int

    @classmethod
    def of(cls, subject: Subject) -> Self:
        spec = subject.spec
        return cls(
            id=subject.key,
            name=spec.name,
            metadata=dict(spec.metadata),
            tags=list(spec.tags),
            consent_ref=spec.consent_ref,
            expires_at=spec.expires_at,
            faces=subject.faces,
            version=subject.version,
            created_at=subject.created_at,
            updated_at=subject.updated_at,
        )


class EnrolledFaceOut(Out):
    id: str
    norm: float
    quality: float | None
    box: BoxOut | None
    source_sha256: str | None = Field(description="Of the photo's bytes.")
    created_at: int

    @classmethod
    def of(cls, face: StoredFace) -> Self:
        return cls(
            id=face.uid,
            norm=round(face.norm, 4),
            quality=face.quality,
            box=None if face.box is None else _box(face.box),
            source_sha256=None if face.source is None else face.source.hex(),
            created_at=face.created_at,
        )


def _box(box: Box) -> BoxOut:
    return BoxOut(left=box.left, top=box.top, right=box.right, bottom=box.bottom)


class EnrolledFacesOut(Out):
    faces: list[EnrolledFaceOut]
    request_id: str


class SubjectPage(Out):
    subjects: list[SubjectOut]
    next_cursor: str | None
    request_id: str


class AuditOut(Out):
    """What `norma audit receipt` holds the answer against."""

    seq: int = Field(description="Number of the entry.")
    mac: str = Field(description="Vouches for the entry, and for all before it.")
    subject: str | None = Field(description="Keyed hash that stands for the subject there.")

    @classmethod
    def of(cls, head: Head) -> Self:
        return cls(seq=head.seq, mac=head.mac, subject=head.subject)


class ReceiptOut(Out):
    """What has been erased. It is gone from every search and list."""

    receipt: str = Field(description="Id of the tombstone; says nothing about the person.")
    faces: int
    revision: int
    erased_at: int
    purged: bool = Field(description="No file of the service holds it any more.")
    audit: AuditOut | None = Field(
        description="Its place in the audit log; null where that could not be written yet."
    )
    request_id: str

    @classmethod
    def of(cls, receipt: Receipt, request_id: str) -> Self:
        return cls(
            receipt=receipt.uid,
            faces=receipt.faces,
            revision=receipt.revision,
            erased_at=receipt.erased_at,
            purged=receipt.purged,
            audit=receipt.audit and AuditOut.of(receipt.audit),
            request_id=request_id,
        )


ContractId = Annotated[str, Field(max_length=128)]


class FeatureIn(In):
    feature: str = Field(description="base64 of little-endian float32, raw (not normalised).")
    quality: float | None = Field(None, ge=0, le=100)
    source_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")

    def face(self) -> NewFace:
        source = None if self.source_sha256 is None else bytes.fromhex(self.source_sha256)
        return NewFace(feature_of(self.feature), self.quality, None, source)


class FeaturesIn(In):
    contract_id: ContractId
    features: list[FeatureIn] = Field(min_length=1, max_length=20)


def feature_of(text: str) -> NDArray[np.float32]:
    """Raises FeatureInvalidError for anything but base64 of whole float32 numbers."""
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    except (binascii.Error, ValueError) as error:
        raise FeatureInvalidError("a feature is base64 of little-endian float32") from error


class GalleryFaceOptions(Options):
    face_select: FaceSelect = Field(
        FaceSelect.LARGEST, description="Which face counts where an image shows several."
    )
    quality: QualityPolicy | None = Field(
        None,
        description="Refuse poor faces, only report them, or do not look: the gallery's default "
        "where absent, and no looser than the gallery allows (policy_forbids).",
    )


class IntoOptions(Options):
    create: bool = Field(True, description="Make the subject where it is missing.")
    conflict_similarity: Cosine | None = Field(
        None,
        description="Cosine from which a face counts as another subject's; where absent, the "
        "threshold of the gallery's FPIR among its faces.",
    )
    consent_ref: str | None = Field(
        None, max_length=256, description="The consent that a subject made here is enrolled under."
    )


class EnrolOptions(IntoOptions, GalleryFaceOptions):
    on_error: Literal["refuse", "skip"] = Field(
        "refuse", description="One unusable photo refuses all, or is only reported."
    )


class IdentifyOptions(Options):
    k: int = Field(10, ge=1, le=1000)
    aggregate: Aggregate = "max"
    tag: list[str] = Field(
        default_factory=list, max_length=32, description="Only subjects with all of these."
    )
    metadata: QueryObject = Field(
        default_factory=dict,
        description="Only subjects with all of these values: a JSON object, top level.",
    )
    mode: Literal["exact", "fast"] = "exact"
    fpir: Rate | None = Field(
        None, description="False positive identification rate to decide at, for this gallery."
    )
    threshold: Cosine | None = Field(None, description="A cosine to decide at instead.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.fpir is not None and self.threshold is not None:
            raise ValueError("give fpir or threshold, not both")
        return self

    def search(self) -> SearchOptions:
        return SearchOptions(
            k=self.k,
            aggregate=self.aggregate,
            filter=Filter(tuple(self.tag), dict(self.metadata)),
            fast=self.mode == "fast",
        )


class IdentifyPhotoOptions(IdentifyOptions, GalleryFaceOptions):
    review_fpir: Rate | None = Field(
        None,
        description="A looser rate: a best candidate between its threshold and the match's is "
        "inconclusive, for a person to look at. The gallery's policy where absent.",
    )
    faces: Literal["selected", "all"] = Field(
        "selected", description="The face that face_select means, or every face of the photo."
    )

    def query(self) -> Query:
        return Query(self.face_select if self.faces == "selected" else None, self.quality)

    def asked(self) -> Asked:
        return Asked(self.fpir, self.threshold, self.review_fpir)


class ClaimOptions(GalleryFaceOptions):
    fmr: Rate | None = Field(
        None,
        description="False match rate of one comparison; the gallery's where absent, or else the "
        "service's default.",
    )
    threshold: Cosine | None = Field(None, description="A cosine to decide at instead.")
    review_fmr: Rate | None = Field(
        None,
        description="A looser rate: scores between its threshold and the match's are "
        "inconclusive. The gallery's policy where absent.",
    )
    aggregate: Aggregate = "max"

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.threshold is not None and (self.fmr is not None or self.review_fmr is not None):
            raise ValueError("give rates (fmr, review_fmr) or a threshold, not both")
        return self

    def asked(self) -> Asked:
        return Asked(self.fmr, self.threshold, self.review_fmr)


class SearchIn(In):
    """One of feature (with contract_id), face or subject."""

    feature: str | None = Field(None, description="base64 of little-endian float32, raw.")
    contract_id: ContractId | None = None
    face: str | None = Field(None, description="Id of an enrolled face.")
    subject: str | None = Field(None, description="Others that look like this subject.")
    k: int = Field(10, ge=1, le=1000)
    aggregate: Aggregate = "max"
    tags: list[str] = Field(default_factory=list, max_length=32)
    metadata: dict[str, Scalar] = Field(default_factory=dict, max_length=32)
    at_least: Cosine = -1.0
    fpir: Rate | None = Field(None, description="Rate to decide at; nothing is decided without.")
    threshold: Cosine | None = Field(None, description="A cosine to decide at instead.")
    mode: Literal["exact", "fast"] = "exact"

    @model_validator(mode="after")
    def _one_probe(self) -> Self:
        if sum(probe is not None for probe in (self.feature, self.face, self.subject)) != 1:
            raise ValueError("give exactly one of feature, face and subject")
        if (self.feature is None) != (self.contract_id is None):
            raise ValueError("contract_id goes with feature")
        if self.fpir is not None and self.threshold is not None:
            raise ValueError("give fpir or threshold, not both")
        return self

    def options(self) -> SearchOptions:
        return SearchOptions(
            k=self.k,
            aggregate=self.aggregate,
            filter=Filter(tuple(self.tags), dict(self.metadata)),
            at_least=self.at_least,
            fast=self.mode == "fast",
        )
