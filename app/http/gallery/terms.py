"""A gallery's terms as they go over the wire: who may do what in it, at which rates."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Self

from pydantic import Field, JsonValue

from app.domain import QualityPolicy
from app.gallery.policy import Policy, QualityRule
from app.gallery.types import ConflictPolicy, Gallery, GallerySpec, Limits
from app.http.gallery.schemas import Name
from app.http.inputs import In
from app.http.schemas import Out, Rate


class LimitsIn(In):
    subjects: int = Field(1_000_000, ge=1, le=100_000_000)
    faces: int = Field(2_000_000, ge=1, le=100_000_000)
    faces_per_subject: int = Field(100, ge=1, le=1000)


class QualityRuleIn(In):
    default: QualityPolicy = Field(
        QualityPolicy.REJECT, description="Where a request says nothing."
    )
    loosest: QualityPolicy = Field(
        QualityPolicy.WARN, description="The least that a request may ask for."
    )

    def rule(self) -> QualityRule:
        return QualityRule(self.default, self.loosest)


class QualityRulesIn(In):
    enrol: QualityRuleIn = QualityRuleIn()
    query: QualityRuleIn = QualityRuleIn()


class GalleryTerms(In):
    conflict: ConflictPolicy = Field(
        "warn", description="What to do when a new face looks like another subject's."
    )
    identify: bool = Field(False, description="Allow searches (1:N); else only 1:1 is answered.")
    fmr: Rate | None = Field(
        None, description="False match rate of claims (1:1); the service's default where null."
    )
    review_fmr: Rate | None = Field(
        None, description="Looser: claims between the two are inconclusive. None such where null."
    )
    fpir: Rate | None = Field(
        None,
        description="False positive identification rate of searches (1:N) and of conflicts; the "
        "service's default where null.",
    )
    review_fpir: Rate | None = Field(
        None, description="Looser: best candidates between the two are inconclusive."
    )
    quality: QualityRulesIn = QualityRulesIn()
    require_consent: bool = Field(
        False, description="Enrol nobody without a consent_ref (consent_missing)."
    )
    vault: bool = Field(
        False,
        description="Keep, encrypted by a key of its subject, what another recogniser would need "
        "of each photo enrolled from now on: its face, cut out and aligned. Switched off, what is "
        "kept is erased. Needs encryption at rest (vault_unencrypted).",
    )
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    limits: LimitsIn = LimitsIn()

    @classmethod
    def of(cls, spec: GallerySpec) -> "GalleryTerms":
        policy = asdict(spec.policy)
        quality = {stage: policy.pop(stage) for stage in ("enrol", "query")}
        return GalleryTerms(
            conflict=spec.conflict,
            identify=spec.identify,
            metadata=dict(spec.metadata),
            limits=LimitsIn(**asdict(spec.limits)),
            quality=QualityRulesIn(**quality),
            **policy,
        )

    def onto(self, spec: GallerySpec) -> GallerySpec:
        """The same gallery under these terms. Raises InputError where they contradict."""
        policy = Policy(
            fmr=self.fmr,
            review_fmr=self.review_fmr,
            fpir=self.fpir,
            review_fpir=self.review_fpir,
            enrol=self.quality.enrol.rule(),
            query=self.quality.query.rule(),
            require_consent=self.require_consent,
            vault=self.vault,
        )
        return replace(
            spec,
            conflict=self.conflict,
            identify=self.identify,
            metadata=self.metadata,
            limits=Limits(**self.limits.model_dump()),
            policy=policy.checked(),
        )

    def over(self, before: Gallery) -> GallerySpec:
        """With the fields that the caller sent replaced, the others as before."""
        kept = GalleryTerms.of(before.spec).model_dump()
        sent = self.model_dump(exclude_unset=True)
        for part in ("limits", "quality"):
            if part in sent:
                sent[part] = _merged(kept[part], sent[part])
        return GalleryTerms(**(kept | sent)).onto(before.spec)


def _merged(before: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    deeper = {
        name: _merged(before[name], value) if isinstance(value, dict) else value
        for name, value in sent.items()
    }
    return {**before, **deeper}


class GalleryIn(GalleryTerms):
    name: Name

    def spec(self, contract_id: str, dim: int) -> GallerySpec:
        return self.onto(GallerySpec(self.name, contract_id, dim))


class LimitsOut(Out):
    subjects: int
    faces: int
    faces_per_subject: int


class QualityRuleOut(Out):
    default: QualityPolicy
    loosest: QualityPolicy


class QualityRulesOut(Out):
    enrol: QualityRuleOut
    query: QualityRuleOut


class GalleryOut(Out):
    name: str
    contract_id: str
    conflict: ConflictPolicy
    identify: bool
    fmr: float | None
    review_fmr: float | None
    fpir: float | None
    review_fpir: float | None
    quality: QualityRulesOut
    require_consent: bool
    vault: bool
    metadata: dict[str, JsonValue]
    limits: LimitsOut
    subjects: int
    faces: int
    version: int = Field(description="Of the terms. Also the ETag.")
    revision: int = Field(description="Grows with every change inside.")
    created_at: int

    @classmethod
    def of(cls, gallery: Gallery) -> Self:
        spec = gallery.spec
        return cls(
            name=spec.name,
            contract_id=spec.contract_id,
            subjects=gallery.subjects,
            faces=gallery.faces,
            version=gallery.version,
            revision=gallery.revision,
            created_at=gallery.created_at,
            **GalleryTerms.of(spec).model_dump(),
        )


class GalleryPage(Out):
    galleries: list[GalleryOut]
    next_cursor: str | None
    request_id: str
