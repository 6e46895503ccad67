"""An InsightFace pack in insightface's own pipeline and in ours: photo in, features out.

Tolerances: boxes and landmarks 0.05 pixels, features a cosine of 0.9999 and 1e-3 of the norm.
"""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from insightface.app import FaceAnalysis

from app.domain import FaceSelect
from app.pipeline import Pipeline
from app.service import build_pipeline
from app.settings import Settings
from export.contract import cosine
from export.importers.insightface import import_pack
from tests.conftest import Faces

# insightface aligns with a scikit-image call that is deprecated by now.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def pack(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as insightface unpacks it. The file names tell nothing."""
    directory = tmp_path_factory.mktemp("packs") / "sample"
    directory.mkdir()
    for name in ("det_scrfd_500m_kps", "rec_edgeface_xxs"):
        shutil.copy(weights / f"{name}.onnx", directory)
    return directory


@pytest.fixture(scope="module")
def ours(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    data_dir = tmp_path_factory.mktemp("imported")
    import_pack(pack, "sample", data_dir / "packages")
    named = {"detector": "sample-detector", "recogniser": "sample-recogniser"}
    return build_pipeline(Settings(data_dir=data_dir, **named))[0]


@pytest.fixture(scope="module")
def theirs(pack: Path) -> FaceAnalysis:
    analysis = FaceAnalysis(str(pack), providers=["CPUExecutionProvider"])
    analysis.prepare(ctx_id=-1, det_size=(640, 640))
    return analysis


@pytest.mark.parametrize("name", ["group", "other"])
def test_the_largest_face(ours: Pipeline, theirs: FaceAnalysis, faces: Faces, name: str) -> None:
    photo: bytes = getattr(faces, name)
    seen = ours.observe(photo, FaceSelect.LARGEST, "query")
    found = theirs.get(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR))
    assert len(found) == seen.face_count
    box = np.array(
        [seen.face.box.left, seen.face.box.top, seen.face.box.right, seen.face.box.bottom]
    )
    face = min(found, key=lambda face: float(np.abs(face.bbox - box).sum()))
    assert np.abs(face.bbox - box).max() < 0.05
    assert np.abs(face.kps - seen.face.landmarks).max() < 0.05
    assert cosine(seen.embedding.feature, face.embedding) > 0.9999
    assert seen.embedding.norm == pytest.approx(float(np.linalg.norm(face.embedding)), rel=1e-3)
