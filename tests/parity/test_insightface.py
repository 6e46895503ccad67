"""The same weights on the same photo give what insightface's own code gives.

Tolerances: boxes and landmarks 0.05 pixels, scores 1e-4, crops one grey level, features a cosine of
0.9999. Two things of insightface are set right for the comparison, and both are why we carry
explicit contracts: it guesses pixel arithmetic from node names and normalises y1 twice.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from insightface.model_zoo.arcface_onnx import ArcFaceONNX
from insightface.model_zoo.scrfd import SCRFD
from insightface.utils import face_align
from numpy.typing import NDArray

from app.domain import Face
from app.vision.align import align
from app.vision.decode import decode
from export.contract import norms
from tests.conftest import Faces
from tests.parity.conftest import OpenPipeline

# insightface aligns with a scikit-image call that is deprecated by now.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

PAIRS = [("det_scrfd_2.5g_kps", "rec_insightface_y1"), ("det_scrfd_500m_kps", "rec_edgeface_xxs")]


def _bgr(photo: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR))


def _scrfd(weights: Path, name: str, photo: bytes) -> tuple[NDArray[np.float32], ...]:
    detector = SCRFD(str(weights / f"{name}.onnx"))
    detector.prepare(-1, input_size=(640, 640))
    boxes, landmarks = detector.detect(_bgr(photo))[:2]
    return boxes, landmarks


def _nearest(face: Face, boxes: NDArray[np.float32]) -> int:
    ours = np.array([face.box.left, face.box.top, face.box.right, face.box.bottom])
    return int(np.abs(boxes[:, :4] - ours).sum(axis=1).argmin())


@pytest.mark.parametrize(("detector", "recogniser"), PAIRS)
def test_boxes_scores_and_landmarks(
    open_pipeline: OpenPipeline, weights: Path, faces: Faces, detector: str, recogniser: str
) -> None:
    found = open_pipeline(detector, recogniser).detect(faces.group).faces
    boxes, landmarks = _scrfd(weights, detector, faces.group)
    assert len(found) == len(boxes) == 6
    for face in found:
        n = _nearest(face, boxes)
        ours = [face.box.left, face.box.top, face.box.right, face.box.bottom]
        assert np.abs(boxes[n, :4] - ours).max() < 0.05
        assert abs(boxes[n, 4] - face.score) < 1e-4
        assert np.abs(landmarks[n] - face.landmarks).max() < 0.05


@pytest.mark.parametrize(("detector", "recogniser"), PAIRS)
def test_crops_and_features(
    open_pipeline: OpenPipeline, weights: Path, faces: Faces, detector: str, recogniser: str
) -> None:
    pipeline = open_pipeline(detector, recogniser)
    image = decode(faces.group, pipeline.limits)
    boxes, landmarks = _scrfd(weights, detector, faces.group)
    theirs = ArcFaceONNX(str(weights / f"{recogniser}.onnx"))
    if recogniser == "rec_insightface_y1":
        theirs.input_mean, theirs.input_std = 0.0, 1.0  # the graph normalises by itself
    for face in pipeline.detect(faces.group).faces:
        crop = align(image, face, pipeline.recogniser.template)
        expected = face_align.norm_crop(_bgr(faces.group), landmarks[_nearest(face, boxes)])
        assert np.abs(crop[..., ::-1].astype(int) - expected).max() <= 1
        ours = pipeline.recogniser.embed([crop])[0]
        feature = theirs.get_feat(expected).ravel()
        cosine = ours.feature @ feature / (ours.norm * norms(feature[None])[0])
        assert cosine > 0.9999
        assert ours.norm == pytest.approx(float(norms(feature[None])[0]), rel=1e-3)


def test_yunet_agrees_with_opencv(open_pipeline: OpenPipeline, weights: Path, faces: Faces) -> None:
    """OpenCV runs the fixed 640×640 graph, so the photo is padded for it as we pad for ours."""
    photo = _bgr(faces.group)
    canvas = np.zeros((640, 640, 3), np.uint8)
    height = int(photo.shape[0] * 640 / photo.shape[1])
    canvas[:height] = cv2.resize(photo, (640, height))
    model = str(weights / "det_yunet_2023mar_official.onnx")
    reference = cv2.FaceDetectorYN.create(model, "", (640, 640), 0.6, 0.3)
    rows = reference.detect(canvas)[1]
    pipeline = open_pipeline("det_yunet_2023mar_official", "rec_edgeface_xxs")
    found = pipeline.detect(faces.group).faces
    assert len(found) == len(rows) == 6
    scale = photo.shape[1] / 640
    for face in found:
        expected = min(rows, key=lambda row: abs(row[0] * scale - face.box.left))
        assert np.abs(expected[4:14].reshape(5, 2) * scale - face.landmarks).max() < 1.0
        assert abs(expected[14] - face.score) < 0.02
