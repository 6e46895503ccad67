"""What a gallery decides on its own: at which rates, on which faces, with whose consent."""

from dataclasses import dataclass
from typing import Literal, Self

from app.domain import QualityPolicy
from app.errors import InputError, PolicyForbidsError

Stage = Literal["enrol", "query"]
_STRICTNESS = (QualityPolicy.OFF, QualityPolicy.WARN, QualityPolicy.REJECT)


@dataclass(frozen=True, slots=True)
class QualityRule:
    """What happens to poor faces: where a request says nothing, and the loosest it may ask for."""

    default: QualityPolicy = QualityPolicy.REJECT
    loosest: QualityPolicy = QualityPolicy.WARN

    def granted(self, asked: QualityPolicy | None, stage: Stage) -> QualityPolicy:
        """What the request gets. Raises PolicyForbidsError where it asks for less than that."""
        if asked is None:
            return self.default
        if _STRICTNESS.index(asked) < _STRICTNESS.index(self.loosest):
            raise PolicyForbidsError(
                f"the gallery allows quality={self.loosest} at the loosest for {stage}, "
                f"{asked} was asked for",
                setting=f"quality.{stage}",
                loosest=self.loosest,
            )
        return asked


@dataclass(frozen=True, slots=True)
class Policy:
    """Where a rate is None, the service's default holds; where a review rate is, there is no
    inconclusive zone.

    `fmr` and `review_fmr` are of one comparison (1:1), `fpir` and `review_fpir` of one search
    (1:N). With `require_consent`, nobody without a `consent_ref` has a face enrolled.
    With `vault`, what another recogniser would need of each photo is kept, encrypted.
    """

    fmr: float | None = None
    review_fmr: float | None = None
    fpir: float | None = None
    review_fpir: float | None = None
    enrol: QualityRule = QualityRule()
    query: QualityRule = QualityRule()
    require_consent: bool = False
    vault: bool = False

    def checked(self) -> Self:
        """Raises InputError for rules that contradict one another."""
        for stage, rule in (("enrol", self.enrol), ("query", self.query)):
            if _STRICTNESS.index(rule.default) < _STRICTNESS.index(rule.loosest):
                raise InputError(f"quality.{stage}: the default is looser than the loosest")
        for name, rate, review in (
            ("fmr", self.fmr, self.review_fmr),
            ("fpir", self.fpir, self.review_fpir),
        ):
            if rate is not None and review is not None and review <= rate:
                raise InputError(f"review_{name} must be looser (larger) than {name}")
        return self
