"""All that is held about one person, as it is answered."""

import base64
from typing import Self

from pydantic import Field

from app.gallery.dossier import Dossier, KeptFace
from app.http.gallery.schemas import EnrolledFaceOut, SubjectOut
from app.http.schemas import Out
from app.vision.keepsake import webp


class KeptFaceOut(EnrolledFaceOut):
    """An enrolled face, with the feature."""

    feature: str = Field(description="base64 of little-endian float32, raw (not normalised).")
    crop: str | None = Field(
        description="base64 of a WebP: what the vault keeps of the photo; null where there is none."
    )

    @classmethod
    def kept(cls, one: KeptFace) -> Self:
        raw = one.feature.astype("<f4").tobytes()
        crop = None if one.keepsake is None else base64.b64encode(webp(one.keepsake)).decode()
        feature = base64.b64encode(raw).decode("ascii")
        return cls(**dict(EnrolledFaceOut.of(one.face)), feature=feature, crop=crop)


class ReportOut(Out):
    """A line about the subject in an import's report."""

    job: str
    item: str
    outcome: str
    code: str | None
    quality: float | None


class DossierOut(Out):
    gallery: str
    contract_id: str = Field(description="The space that the features live in.")
    subject: SubjectOut
    faces: list[KeptFaceOut] = Field(description="Oldest first.")
    imports: list[ReportOut]
    request_id: str | None

    @classmethod
    def of(cls, held: Dossier, request_id: str | None) -> Self:
        return cls(
            gallery=held.gallery.name,
            contract_id=held.gallery.spec.contract_id,
            subject=SubjectOut.of(held.subject),
            faces=[KeptFaceOut.kept(one) for one in held.faces],
            imports=[
                ReportOut(
                    job=one.job,
                    item=one.item,
                    outcome=one.outcome,
                    code=one.code,
                    quality=one.quality,
                )
                for one in held.reports
            ],
            request_id=request_id,
        )
