"""`norma gallery health`, on a gallery of real features."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.gallery.enrolment import Enrolment
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from export import package
from tests.unit.app.commands.conftest import Run

DIM = 128


@pytest.fixture
def enrolled(data: Path, defaults: Path) -> None:
    """Twenty people of two faces, one of them twice."""
    random = np.random.default_rng(3)
    contract = package.load(defaults / "sface-2021dec").manifest.model_dump()["contract_id"]
    service = GalleryService(GalleryStore(data / "gallery"))
    service.create_gallery("local", GallerySpec("staff", contract, DIM, "off", identify=True))
    people = random.standard_normal((20, DIM))
    for number, direction in enumerate([*people, people[4]]):
        rows = direction + 0.1 * random.standard_normal((2, DIM))
        faces = [NewFace(row.astype(np.float32)) for row in rows]
        spec = SubjectSpec()
        service.enrol("local", "staff", Enrolment(f"p{number}", faces, contract, create=spec))
    service.close()


@pytest.mark.usefixtures("enrolled")
def test_a_person_enrolled_twice_is_named(run: Run) -> None:
    ran = run("gallery", "health", "staff")
    assert ran.status == 0, ran
    assert "42 faces of 21 subjects" in ran.out
    assert "duplicates: 1 " in ran.out
    assert "p4 and p20" in ran.out or "p20 and p4" in ran.out


@pytest.mark.usefixtures("enrolled")
def test_as_json(run: Run) -> None:
    found = json.loads(run("gallery", "health", "staff", "--json", "--limit", "3").out)
    assert found["totals"]["duplicates"] == 1
    assert len(found["findings"]["nearest"]) == 3
    assert found["examined"]["probes"] == 42
    assert found["threshold"]["source"] == "calibration"


def test_what_is_not_there_is_one_line(run: Run, data: Path, defaults: Path) -> None:
    assert "no galleries" in run("gallery", "health", "staff").failed()
    GalleryService(GalleryStore(data / "gallery")).close()
    assert "no such gallery" in run("gallery", "health", "staff").failed()
