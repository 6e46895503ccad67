"""Faults planted among real photos: LFW View 1's training people, features of the default
recogniser."""

import io
import tarfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from app.gallery.enrolment import Enrolment
from app.gallery.health.examiner import HealthPlan
from app.gallery.health.findings import Outlier, Pair, Report
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.operating import Loaded, health_limits
from app.service import Service
from tests.unit.app.gallery.conftest import Open

TWICE, MISFILED, SOUND = 10, 10, 20
Planted = tuple[Report, dict[int, tuple[str, str]]]
"""The report, and of each face id the true person and the subject that it was filed under."""


def _people(tar: Path, count: int) -> dict[str, list[NDArray[np.uint8]]]:
    """Four aligned photos each of so many people who have as many."""
    names: dict[str, list[str]] = defaultdict(list)
    with tarfile.open(tar) as archive:
        for member in archive.getnames():
            if member.endswith(".jpg"):
                names[member.split("/")[-2]].append(member)
        chosen = [person for person in sorted(names) if 4 <= len(names[person]) <= 8][:count]
        return {
            person: [_crop(archive, name) for name in sorted(names[person])[:4]]
            for person in chosen
        }


def _crop(archive: tarfile.TarFile, name: str) -> NDArray[np.uint8]:
    file = archive.extractfile(name)
    assert file is not None
    return np.asarray(PIL.Image.open(io.BytesIO(file.read())).convert("RGB"))


@pytest.fixture
def planted(assets: Path, service: Service, open_gallery: Open) -> Planted:
    """Ten people under two ids each; ten with one photo of somebody else; twenty as they are."""
    recogniser = service.pipeline.recogniser
    contract = recogniser.contract_id
    defaults = Loaded(service.settings, service.calibration)
    curve = service.pipeline.judge.curve
    plan = HealthPlan(lambda gallery: health_limits(defaults, curve, gallery))
    store = open_gallery(plan=plan)
    spec = GallerySpec("g", contract, recogniser.dim, "off", identify=True)
    store.create_gallery("me", spec)
    tar = assets / "train" / "lfw_view1_train_112.tar"
    people = _people(tar, TWICE + MISFILED + SOUND)
    filed: dict[str, list[tuple[str, NDArray[np.uint8]]]] = defaultdict(list)
    for number, (person, crops) in enumerate(people.items()):
        for which, crop in enumerate(crops):
            twice = number < TWICE and which >= 2
            filed[f"s{number}-again" if twice else f"s{number}"].append((person, crop))
    for number in range(TWICE, TWICE + MISFILED):  # one photo goes to the next but ten
        filed[f"s{number + MISFILED}"].append(filed[f"s{number}"].pop())
    truth: dict[int, tuple[str, str]] = {}
    for subject, photos in filed.items():
        features = [one.feature for one in recogniser.embed([crop for _, crop in photos])]
        faces = [NewFace(feature) for feature in features]
        enrolment = Enrolment(subject, faces, contract, create=SubjectSpec())
        stored = store.enrol("me", "g", enrolment).enrolled.faces
        truth |= {
            face.id: (person, subject) for face, (person, _) in zip(stored, photos, strict=True)
        }
    return store.health.examine(store.gallery("me", "g")), truth


def test_planted_duplicates_and_misfiled_faces_are_found(planted: Planted) -> None:
    report, truth = planted
    person = {face: who for face, (who, _) in truth.items()}
    filed = {face: subject for face, (_, subject) in truth.items()}
    pairs = [one for one in report.found["duplicates"].worst if isinstance(one, Pair)]
    linked = {frozenset((filed[one.face_a], filed[one.face_b])) for one in pairs}
    twice = {frozenset((f"s{n}", f"s{n}-again")) for n in range(TWICE)}
    wrong = {frozenset((f"s{n}", f"s{n + MISFILED}")) for n in range(TWICE, TWICE + MISFILED)}
    true = [person[one.face_a] == person[one.face_b] for one in pairs]
    recall = len(linked & (twice | wrong)) / (TWICE + MISFILED)
    assert sum(true) / len(true) >= 0.9
    assert recall >= 0.9
    misfiled = {one.misfiled for one in pairs if one.misfiled is not None}
    home = {subject: who for who, subject in truth.values() if "again" in subject}
    assert not home.keys() & {filed[face] for face in misfiled}
    assert len(misfiled) >= 0.8 * MISFILED
    outliers = [one for one in report.found["outliers"].worst if isinstance(one, Outlier)]
    strangers = {
        face
        for face, (who, subject) in truth.items()
        if subject in {f"s{n + MISFILED}" for n in range(TWICE, TWICE + MISFILED)}
        and sum(w == who for w, s in truth.values() if s == subject) == 1
    }
    assert len(strangers) == MISFILED
    assert len(strangers & {one.face for one in outliers}) >= 0.9 * MISFILED
    assert len(outliers) <= 1.5 * MISFILED
