"""Where a gallery decides: what the request asks for, else its policy, else the service."""

from dataclasses import dataclass
from typing import Protocol

from app import decision
from app.domain import IdentifyThreshold, VerifyThreshold
from app.errors import CalibrationMissingError, InputError, RateUnsupportedError
from app.gallery.health.findings import Limits
from app.gallery.types import Gallery
from app.rates.own import Departure, OwnRates, departure
from app.settings import Settings
from export.tables import Calibration, QualityCurve


class Defaults(Protocol):
    """What holds where neither request nor gallery says anything: the service."""

    @property
    def settings(self) -> Settings: ...

    @property
    def calibration(self) -> Calibration | None: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """The same before there is a service."""

    settings: Settings
    calibration: Calibration | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A rate (FMR of a claim, FPIR of a search) or a cosine, and a looser rate for review."""

    rate: float | None = None
    cosine: float | None = None
    review: float | None = None


def claim_threshold(defaults: Defaults, gallery: Gallery, asked: Asked) -> VerifyThreshold:
    """1:1. Raises what `decision.threshold_at` and `decision.with_review` raise."""
    if asked.cosine is not None:
        return decision.threshold_given(asked.cosine)
    policy = gallery.spec.policy
    rate = asked.rate or policy.fmr or defaults.settings.fmr
    found = decision.threshold_at(defaults.calibration, rate)
    if asked.review is not None:
        return decision.with_review(found, defaults.calibration, asked.review)
    if policy.review_fmr is None or policy.review_fmr <= rate:
        return found  # the request's own rate is looser than the policy's zone
    return decision.with_review(found, defaults.calibration, policy.review_fmr)


def search_threshold(
    defaults: Defaults, gallery: Gallery, faces: int, asked: Asked, own: OwnRates | None
) -> IdentifyThreshold:
    """1:N among `faces` faces. Raises what `decision.identify_at` raises, and InputError where
    the request's review rate is not the looser."""
    if asked.cosine is not None:
        return decision.identify_given(asked.cosine, faces)
    policy = gallery.spec.policy
    rate = asked.rate or policy.fpir or defaults.settings.fpir
    if asked.review is not None and asked.review <= rate:
        raise InputError("review_fpir must be looser (larger) than the rate of a match")
    found = decision.identify_at(defaults.calibration, rate, faces, own)
    review = asked.review or policy.review_fpir
    if review is None or review <= rate:
        return found
    looser = decision.identify_at(defaults.calibration, review, faces, own)
    return decision.with_search_review(found, looser)


def conflict_threshold(defaults: Defaults, gallery: Gallery) -> float | None:
    """The cosine from which a face to enrol counts as another subject's, by the package.

    None where no rate is known and the gallery only warns; where it refuses, that is a
    CalibrationMissingError.
    """
    try:
        return search_threshold(defaults, gallery, gallery.faces, Asked(), None).value
    except RateUnsupportedError:  # too large a gallery for the data: the strictest that is known
        return _strictest(defaults.calibration)
    except CalibrationMissingError:
        if gallery.spec.conflict == "reject":
            raise
        return None


def _strictest(calibration: Calibration | None) -> float | None:
    points = () if calibration is None else calibration.on_cosines
    return points[-1].threshold if points else None


def health_limits(defaults: Defaults, quality: QualityCurve | None, gallery: Gallery) -> Limits:
    """What is worth looking at in a gallery: at the rates that it decides at.

    By the package alone: a gallery's own rates come from what is looked for here.
    """
    try:
        outlier = claim_threshold(defaults, gallery, Asked()).value
    except (CalibrationMissingError, RateUnsupportedError):
        outlier = None
    known = _known(defaults, gallery, None)
    gated = quality is not None and quality.basis == "norm"
    return Limits(
        duplicate=_strictest(defaults.calibration) if known is None else known.value,
        outlier=outlier,
        weak=quality.gates.enrol if quality is not None and gated else None,
        same_person=_strictest(defaults.calibration),
    )


@dataclass(frozen=True, slots=True)
class Operating:
    """Where a gallery's searches decide, by whom, and whether its own people bear the package
    out; None where one of the two cannot speak."""

    threshold: IdentifyThreshold | None
    package: IdentifyThreshold | None
    departure: Departure | None


def operating(defaults: Defaults, gallery: Gallery, own: OwnRates | None) -> Operating:
    """At the gallery's own rate, as it is now."""
    package = _known(defaults, gallery, None)
    departs = None
    rate = gallery.spec.policy.fpir or defaults.settings.fpir
    if own is not None and package is not None and own.supports(rate, gallery.faces):
        departs = departure(own, package.value, rate, gallery.faces)
    return Operating(_known(defaults, gallery, own), package, departs)


def _known(defaults: Defaults, gallery: Gallery, own: OwnRates | None) -> IdentifyThreshold | None:
    try:
        return search_threshold(defaults, gallery, gallery.faces, Asked(), own)
    except (CalibrationMissingError, RateUnsupportedError):
        return None
