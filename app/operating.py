"""Where a gallery decides: what the request asks for, else its policy, else the service."""

from dataclasses import dataclass

from app import decision
from app.domain import IdentifyThreshold, VerifyThreshold
from app.errors import CalibrationMissingError, InputError, RateUnsupportedError
from app.gallery.types import Gallery
from app.rates.own import OwnRates
from app.service import Service


@dataclass(frozen=True, slots=True)
class Asked:
    """A rate (FMR of a claim, FPIR of a search) or a cosine, and a looser rate for review."""

    rate: float | None = None
    cosine: float | None = None
    review: float | None = None


def claim_threshold(service: Service, gallery: Gallery, asked: Asked) -> VerifyThreshold:
    """1:1. Raises what `Service.threshold` raises."""
    policy = gallery.spec.policy
    if asked.cosine is not None or asked.review is not None:
        return service.threshold(asked.rate or policy.fmr, asked.cosine, asked.review)
    found = service.threshold(asked.rate or policy.fmr, None)
    if policy.review_fmr is None or policy.review_fmr <= (found.fmr or 1):
        return found  # the request's own rate is looser than the policy's zone
    return decision.with_review(found, service.calibration, policy.review_fmr)


def search_threshold(
    service: Service, gallery: Gallery, faces: int, asked: Asked, own: OwnRates | None
) -> IdentifyThreshold:
    """1:N among `faces` faces. Raises what `decision.identify_at` raises, and InputError where
    the request's review rate is not the looser."""
    if asked.cosine is not None:
        return decision.identify_given(asked.cosine, faces)
    policy = gallery.spec.policy
    rate = asked.rate or policy.fpir or service.settings.fpir
    if asked.review is not None and asked.review <= rate:
        raise InputError("review_fpir must be looser (larger) than the rate of a match")
    found = decision.identify_at(service.calibration, rate, faces, own)
    review = asked.review or policy.review_fpir
    if review is None or review <= rate:
        return found
    looser = decision.identify_at(service.calibration, review, faces, own)
    return decision.with_search_review(found, looser)


def conflict_threshold(service: Service, gallery: Gallery, own: OwnRates | None) -> float | None:
    """The cosine from which a face to enrol counts as another subject's.

    None where no rate is known and the gallery only warns; where it refuses, that is a
    CalibrationMissingError.
    """
    try:
        return search_threshold(service, gallery, gallery.faces, Asked(), own).value
    except RateUnsupportedError:  # too large a gallery for the data: the strictest that is known
        assert service.calibration is not None  # noqa: S101 - else the other error
        return service.calibration.on_cosines[-1].threshold
    except CalibrationMissingError:
        if gallery.spec.conflict == "reject":
            raise
        return None
