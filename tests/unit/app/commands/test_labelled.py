"""Calibration sees photos through the very pipeline that serves them."""

from pathlib import Path

import numpy as np
import pytest

from app.commands.labelled import PipelineFaces, open_faces
from app.domain import FaceSelect
from app.service import Service
from export.calibrate.photos import Failure, FoundFace
from tests.conftest import Faces


@pytest.fixture
def source(service: Service) -> PipelineFaces:
    return PipelineFaces(service.pipeline, "yunet-2023mar", FaceSelect.LARGEST)


def _file(data: bytes, tmp_path: Path) -> Path:
    (tmp_path / "photo").write_bytes(data)
    return tmp_path / "photo"


def test_the_feature_is_the_services_own(
    source: PipelineFaces, service: Service, faces: Faces, tmp_path: Path
) -> None:
    found = source.find(_file(faces.portrait, tmp_path))
    assert isinstance(found, FoundFace)
    served = service.pipeline.observe(faces.portrait, FaceSelect.LARGEST, "query")
    [feature] = source.embed(found.crop[None])
    np.testing.assert_allclose(feature, served.embedding.feature, atol=1e-5)
    assert source.contract_id == served.embedding.contract_id
    assert found.face_size == min(served.face.box.width, served.face.box.height)
    assert source.sharpness(found.crop) > 0


def test_failures_are_told_apart(source: PipelineFaces, faces: Faces, tmp_path: Path) -> None:
    assert source.find(_file(faces.landscape, tmp_path)) is Failure.UNDETECTED
    assert source.find(_file(faces.portrait[:2000], tmp_path)) is Failure.UNDECODABLE
    assert source.find(tmp_path / "missing.jpg") is Failure.UNDECODABLE


def test_where_one_face_is_asked_for_several_are_none(
    service: Service, faces: Faces, tmp_path: Path
) -> None:
    only = PipelineFaces(service.pipeline, "yunet-2023mar", FaceSelect.ONLY)
    assert only.find(_file(faces.group, tmp_path)) is Failure.UNDETECTED


def test_it_opens_installed_packages(data_dir: Path) -> None:
    opened = open_faces("sface-2021dec", "yunet-2023mar", "center", data_dir)
    assert opened.detector == "yunet-2023mar"
    assert opened.contract_id.startswith("c1-")
