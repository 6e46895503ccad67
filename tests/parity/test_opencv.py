"""The default packages against OpenCV's own classes for the same networks.

Tolerances: crops one grey level, features a cosine of 0.99999 and 1e-4 of the norm; on one canvas
boxes and landmarks 0.01 pixels, scores 1e-5.
"""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from app.domain import Face, Image
from app.inference.packages import find
from app.service import Service
from app.vision.align import align
from app.vision.detect import Detector
from export.contract import cosine
from export.manifest import MODEL
from tests.conftest import Faces
from tests.parity.conftest import OpenPipeline


@pytest.fixture(scope="module")
def sface(packages_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> cv2.FaceRecognizerSF:
    """The default recogniser's graph in OpenCV, which wants its shapes written out."""
    model = onnx.load_model_from_string(find("sface-2021dec", packages_dir).read(MODEL))
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    batch.Clear()
    batch.dim_value = 1
    for side in (1, 128):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = side
    path = tmp_path_factory.mktemp("opencv") / MODEL
    onnx.save(model, path)
    return cv2.FaceRecognizerSF.create(str(path), "")


def _bgr(photo: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR))


def _row(face: Face) -> NDArray[np.float32]:
    """OpenCV's layout: left, top, width, height, five points, score."""
    box = [face.box.left, face.box.top, face.box.width, face.box.height]
    return np.array([[*box, *face.landmarks.ravel(), face.score]], dtype=np.float32)


@pytest.mark.parametrize("name", ["group", "portrait", "other"])
def test_sface_crops_and_features(
    service: Service, sface: cv2.FaceRecognizerSF, faces: Faces, name: str
) -> None:
    photo: bytes = getattr(faces, name)
    pipeline = service.pipeline
    detection = pipeline.detect(photo)
    for face in detection.faces:
        crop = align(detection.image, face, pipeline.recogniser.template)
        expected = np.asarray(sface.alignCrop(_bgr(photo), _row(face)))
        assert np.abs(crop[..., ::-1].astype(int) - expected).max() <= 1
        ours = pipeline.recogniser.embed([crop])[0]
        theirs = np.asarray(sface.feature(expected), dtype=np.float32).ravel()
        assert cosine(ours.feature, theirs) > 0.99999
        assert ours.norm == pytest.approx(float(np.linalg.norm(theirs)), rel=1e-4)


@pytest.fixture
def canvas(faces: Faces) -> NDArray[np.uint8]:
    """The group on the 640×640 pixels that OpenCV's graph is fixed to, BGR."""
    photo = _bgr(faces.group)
    height = photo.shape[0] * 640 // photo.shape[1]
    padded = np.zeros((640, 640, 3), np.uint8)
    padded[:height] = cv2.resize(photo, (640, height))
    return padded


def _differences(
    detector: Detector, weights: Path, canvas: NDArray[np.uint8]
) -> tuple[float, float]:
    """Largest difference from OpenCV in pixels and in score, over the six faces."""
    model = str(weights / "det_yunet_2023mar_official.onnx")
    rows = cv2.FaceDetectorYN.create(model, "", (640, 640), 0.6, 0.3).detect(canvas)[1]
    rgb = np.ascontiguousarray(canvas[..., ::-1])
    found = np.concatenate(
        [_row(face) for face in detector.detect([Image(rgb, "png", 640, 640)])[0]]
    )
    assert len(found) == len(rows) == 6
    order = [np.abs(rows - ours).sum(axis=1).argmin() for ours in found]
    assert sorted(order) == list(range(6))
    apart = np.abs(rows[order] - found)
    return float(apart[:, :14].max()), float(apart[:, 14].max())


def test_yunet_of_the_same_weights(
    open_pipeline: OpenPipeline, weights: Path, canvas: NDArray[np.uint8]
) -> None:
    detector = open_pipeline("det_yunet_2023mar_official", "rec_edgeface_xxs").detector
    pixels, score = _differences(detector, weights, canvas)
    assert pixels < 0.01
    assert score < 1e-5


def test_what_quantisation_costs_the_default_detector(
    service: Service, weights: Path, canvas: NDArray[np.uint8]
) -> None:
    """The default is the release's 8-bit file, unfolded; OpenCV runs the float32 one."""
    pixels, score = _differences(service.pipeline.detector, weights, canvas)
    assert pixels < 1
    assert score < 0.005
