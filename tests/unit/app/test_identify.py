"""A claim is decided as two photos are; a search goes by cosines."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from app.domain import FaceSelect, QualityPolicy, Verdict
from app.enrol import Into, PhotoTerms, enrol_photos
from app.errors import CalibrationMissingError
from app.gallery.enrolment import Enrolment
from app.gallery.room import open_room
from app.gallery.search import SearchOptions
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.identify import ClaimChecked, Query, check_claim, identify
from app.inference.turn import Turn
from app.operating import Asked, operating
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
    asyncio.run(enrol_photos(own, into, terms, {"a": faces.portrait}, _turn(own)))
    yield own
    room.close()


def _turn(service: Service) -> Turn:
    return service.engine.turn("me")


def _claim(service: Service, photo: bytes, asked: Asked) -> ClaimChecked:
    return asyncio.run(
        check_claim(service, PLACE, "tom", photo, QUERY, "max", asked, _turn(service))
    )


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
            _turn(aware),
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
        turn=_turn(aware),
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


def test_a_search_is_held_to_the_gallerys_own_strangers_and_watched(
    aware: Service, faces: Faces
) -> None:
    assert aware.calibration is not None
    service = replace(aware, calibration=aware.calibration.model_copy(update={"scoring": None}))
    store = service.gallery.opened()
    random = np.random.default_rng(2)
    crowd = random.standard_normal((400, 128)) + 1.0  # cosines of about 0.5 to one another
    for number, row in enumerate(crowd):
        spec = store.gallery(*PLACE).spec
        new = [NewFace(row.astype(np.float32))]
        store.enrol(*PLACE, Enrolment(f"p{number}", new, spec.contract_id, create=SubjectSpec()))
    asked = Asked(rate=0.05)
    search = partial(
        identify, service, PLACE, faces.other, QUERY, SearchOptions(), asked, _turn(service)
    )
    package = asyncio.run(search()).threshold
    store.health.examine(store.gallery(*PLACE))
    found = asyncio.run(search())
    assert (package.source, found.threshold.source) == ("calibration", "gallery")
    assert found.threshold.value > package.value
    scores = store.health.health(store.gallery(*PLACE)).scores
    assert scores is not None
    assert scores.live == 1
    state = operating(service, store.gallery(*PLACE), store.health.own(store.gallery(*PLACE)))
    assert state.threshold is not None
    assert state.threshold.source == "gallery"
    assert state.departure is not None
    assert state.departure.departs
    assert state.departure.measured > 0.5
