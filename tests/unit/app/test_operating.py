"""Request, then gallery, then service: whose rate decides."""

from dataclasses import replace

import pytest

from app import decision, operating
from app.errors import CalibrationMissingError, InputError
from app.gallery.policy import Policy
from app.gallery.types import ConflictPolicy, Gallery, GallerySpec
from app.operating import Asked
from app.service import Service


def _gallery(
    policy: Policy | None = None, conflict: ConflictPolicy = "warn", faces: int = 50
) -> Gallery:
    spec = GallerySpec("g", "c", 128, conflict=conflict, policy=policy or Policy())
    return Gallery(1, "u", "me", spec, 0, 1, 1, faces, faces, 0)


def test_the_rate_of_a_claim(service: Service) -> None:
    own = _gallery(Policy(fmr=1e-3))
    asked = [
        operating.claim_threshold(service, gallery, Asked(rate)).fmr
        for gallery, rate in ((_gallery(), None), (own, None), (own, 1e-5))
    ]
    assert asked == [1e-4, 1e-3, 1e-5]
    given = operating.claim_threshold(service, own, Asked(cosine=0.3))
    assert (given.value, given.source, given.review) == (0.3, "request", None)


def test_the_zone_of_a_claim(service: Service) -> None:
    own = _gallery(Policy(fmr=1e-4, review_fmr=1e-2))
    zone = operating.claim_threshold(service, own, Asked())
    assert (zone.review, zone.review_fmr) == (
        decision.threshold_at(service.calibration, 1e-2).value,
        1e-2,
    )
    assert operating.claim_threshold(service, own, Asked(review=1e-3)).review_fmr == 1e-3
    assert operating.claim_threshold(service, own, Asked(rate=5e-2)).review is None
    with pytest.raises(InputError):
        operating.claim_threshold(service, own, Asked(review=1e-5))


def test_the_rate_and_zone_of_a_search(service: Service) -> None:
    own = _gallery(Policy(fpir=0.02, review_fpir=0.2))

    def found(gallery: Gallery, asked: Asked) -> tuple[float | None, float | None]:
        threshold = operating.search_threshold(service, gallery, gallery.faces, asked, None)
        return threshold.fpir, threshold.review_fpir

    assert found(_gallery(), Asked()) == (0.01, None)
    assert found(own, Asked()) == (0.02, 0.2)
    assert found(own, Asked(rate=0.05)) == (0.05, 0.2)
    assert found(own, Asked(rate=0.5)) == (0.5, None)
    assert found(own, Asked(review=0.1)) == (0.02, 0.1)
    assert found(own, Asked(cosine=0.3)) == (None, None)
    with pytest.raises(InputError):
        found(own, Asked(review=0.001))
    threshold = operating.search_threshold(service, own, 50, Asked(), None)
    looser = decision.identify_at(service.calibration, 0.2, 50)
    assert threshold.review == looser.value < threshold.value


def test_conflicts_are_told_at_the_gallerys_own_rate(service: Service) -> None:
    loose = operating.conflict_threshold(service, _gallery(Policy(fpir=0.2)))
    strict = operating.conflict_threshold(service, _gallery(Policy(fpir=0.001)))
    assert loose is not None
    assert strict is not None
    assert loose < strict
    huge = operating.conflict_threshold(service, _gallery(faces=10**9))
    assert service.calibration is not None
    assert huge == service.calibration.points[-1].threshold


def test_without_calibration_conflicts_are_not_told_and_not_refused_blindly(
    service: Service,
) -> None:
    bare = replace(service, calibration=None)
    assert operating.conflict_threshold(bare, _gallery()) is None
    with pytest.raises(CalibrationMissingError):
        operating.conflict_threshold(bare, _gallery(conflict="reject"))
