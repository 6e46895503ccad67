"""Faces that fill the frame, as in selfies: detectors of small faces miss them at full size."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain import Face, Image
from app.pipeline import Pipeline
from app.service import Service
from app.vision.decode import decode
from tests.conftest import Faces
from tests.parity.conftest import OpenPipeline
from tests.parity.conftest import open_pipeline as open_pipeline
from tests.parity.conftest import weights as weights

SIDE = 640
SPANS = [0.7, 0.9, 1.1, 1.3, 1.6]


def _close_up(image: Image, face: Face, span: float) -> tuple[Image, NDArray[np.float64]]:
    """A square around the face, which spans `span` of it, and where its landmarks must be."""
    box = face.box
    scale = SIDE * span / max(box.width, box.height)
    middle = np.array([box.left + box.right, box.top + box.bottom]) / 2
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    matrix[:, 2] = SIDE / 2 - scale * middle
    pixels = cv2.warpAffine(
        image.pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    landmarks = face.landmarks @ matrix[:, :2].T + matrix[:, 2]
    return Image(np.asarray(pixels, dtype=np.uint8), "jpeg", SIDE, SIDE), landmarks


def _beside(close_up: Image, bystander: Image) -> Image:
    """The close-up with someone small in its left upper corner."""
    pixels = close_up.pixels.copy()
    height, width = bystander.pixels.shape[:2]
    pixels[:height, :width] = bystander.pixels
    return Image(pixels, "jpeg", SIDE, SIDE)


def _sees_past_a_bystander(pipeline: Pipeline, faces: Faces, span: float) -> None:
    """The main pass of an SCRFD finds the bystander alone, whom `largest` would then mean."""
    image, group = decode(faces.other, pipeline.limits), decode(faces.group, pipeline.limits)
    close_up, expected = _close_up(image, pipeline.detector.detect([image])[0][0], span)
    leftmost = min(pipeline.detector.detect([group])[0], key=lambda face: face.box.left)
    x, y = leftmost.landmarks.mean(axis=0).astype(int)
    crop = np.ascontiguousarray(group.pixels[y - 90 : y + 90, x - 65 : x + 65])
    bystander = Image(crop, "jpeg", 130, 180)
    found = pipeline.detector.detect([_beside(close_up, bystander)])[0]
    assert len(found) == 2
    largest = max(found, key=lambda face: face.box.area)
    error = np.abs(largest.landmarks - expected).mean() / np.linalg.norm(expected[0] - expected[1])
    assert error < 0.1, "in distances between the eyes"


def _finds_it(pipeline: Pipeline, faces: Faces, span: float) -> None:
    image = decode(faces.other, pipeline.limits)
    close_up, expected = _close_up(image, pipeline.detector.detect([image])[0][0], span)
    found = pipeline.detector.detect([close_up])[0]
    assert found, "no face was found"
    largest = max(found, key=lambda face: face.box.area)
    error = np.abs(largest.landmarks - expected).mean() / np.linalg.norm(expected[0] - expected[1])
    assert error < 0.1, "in distances between the eyes"


@pytest.mark.parametrize("span", SPANS)
def test_the_default_detector_finds_close_ups(service: Service, faces: Faces, span: float) -> None:
    _finds_it(service.pipeline, faces, span)


@pytest.mark.parametrize("span", SPANS)
def test_scrfd_finds_close_ups(open_pipeline: OpenPipeline, faces: Faces, span: float) -> None:
    _finds_it(open_pipeline("det_scrfd_500m_kps", "rec_edgeface_xxs"), faces, span)


@pytest.mark.parametrize("span", [0.8, 1.0])
def test_the_default_detector_sees_past_a_bystander(
    service: Service, faces: Faces, span: float
) -> None:
    _sees_past_a_bystander(service.pipeline, faces, span)


@pytest.mark.parametrize("span", [0.8, 1.0])
def test_scrfd_sees_past_a_bystander(
    open_pipeline: OpenPipeline, faces: Faces, span: float
) -> None:
    _sees_past_a_bystander(open_pipeline("det_scrfd_500m_kps", "rec_edgeface_xxs"), faces, span)
