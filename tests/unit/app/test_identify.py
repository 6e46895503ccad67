"""A claim is decided as two photos are; a search goes by cosines."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app.domain import FaceSelect, QualityPolicy, Verdict
from app.enrol import Into, PhotoTerms, enrol_photos
from app.errors import CalibrationMissingError
from app.gallery.room import open_room
from app.gallery.search import SearchOptions
from app.gallery.types import GallerySpec
from app.identify import ClaimChecked, Query, check_claim, identify
from app.operating import Asked
from app.service import Service
from app.settings import Settings
from export.tables import PairScoring
from tests.conftest import Faces

PLACE = ("me", "people")
QUERY = Query(FaceSelect.LARGEST, None)
SCORING = PairScoring(
    slope=1, offset=-0.99, fmr=1e-4, fnmr_plain=0.1, fnmr_aware=0.05,
    gain_interval=(0.01, 0.09), kept=True,
)  # fmt: skip


@pytest.fixture
def aware(service: Service, tmp_path: Path, faces: Faces) -> Iterator[Service]:
    """Calibrated on quality-aware scores, with Tom enrolled."""
    assert service.calibration is not None
    calibration = service.calibration.model_copy(update={"scoring": SCORING})
    room = open_room(Settings(data_dir=tmp_path))
    own = replace(service, calibration=calibration, gallery=room)
    recogniser = service.pipeline.recogniser
    spec = GallerySpec(PLACE[1], recogniser.contract_id, recogniser.dim, "off", identify=True)
    asyncio.run(room.run(lambda gallery: gallery.create_gallery(PLACE[0], spec)))
    into = Into(*PLACE, "tom", create=True, conflict_from=None, idempotency_key=None)
    terms = PhotoTerms(FaceSelect.LARGEST, None, skip=False)
    asyncio.run(enrol_photos(own, into, terms, {"a": faces.portrait}))
    yield own
    room.close()


def _claim(service: Service, photo: bytes, asked: Asked) -> ClaimChecked:
    return asyncio.run(check_claim(service, PLACE, "tom", photo, QUERY, "max", asked))


@pytest.mark.parametrize("photo", ["portrait_again", "other"])
def test_a_claim_scores_as_verifying_does(aware: Service, faces: Faces, photo: str) -> None:
    probe: bytes = getattr(faces, photo)
    claim = _claim(aware, probe, Asked())
    verified = asyncio.run(
        aware.verify(
            (probe, faces.portrait),
            FaceSelect.LARGEST,
            QualityPolicy.REJECT,
            aware.threshold(None, None),
        )
    ).decision
    assert claim.likeness.similarity == pytest.approx(verified.similarity, abs=1e-3)
    assert claim.likeness.score == pytest.approx(verified.score, abs=1e-3)
    assert claim.likeness.score < claim.likeness.similarity - 0.001
    assert (claim.verdict, claim.threshold) == (verified.verdict, verified.threshold)


def test_a_claim_at_a_cosine_goes_by_the_cosine(aware: Service, faces: Faces) -> None:
    similarity = _claim(aware, faces.portrait_again, Asked()).likeness.similarity
    claim = _claim(aware, faces.portrait_again, Asked(cosine=similarity - 1e-6))
    assert claim.likeness.score == claim.likeness.similarity
    assert claim.verdict is Verdict.MATCH


def test_a_search_needs_a_table_of_cosines(aware: Service, faces: Faces) -> None:
    search = partial(
        identify,
        place=PLACE,
        photo=faces.portrait_again,
        query=QUERY,
        options=SearchOptions(),
        asked=Asked(),
    )
    with pytest.raises(CalibrationMissingError, match="quality-aware scores alone"):
        asyncio.run(search(aware))
    assert aware.calibration is not None
    points = tuple(aware.calibration.points)
    calibration = aware.calibration.model_copy(update={"cosine_points": points})
    found = asyncio.run(search(replace(aware, calibration=calibration)))
    [one] = found.faces
    assert one.answer is not None
    assert one.answer.matches[0].similarity >= found.threshold.value
