"""One photo through all stages, with stand-ins where the networks are."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain import Box, Embedding, Face, FaceSelect, Image
from app.errors import (
    FaceMultipleError,
    FaceNotFoundError,
    InferenceFailedError,
    InferenceInvalidError,
)
from app.pipeline import Pipeline
from app.vision.align import align
from app.vision.detect import letterbox
from app.vision.limits import ImageLimits
from app.vision.quality import QualityJudge
from export.contract import ARCFACE_112, AlignmentTemplate
from tests.hostile import corpus

LIMITS = ImageLimits(
    max_bytes=10**7,
    max_pixels=10**7,
    max_jpeg_pixels=10**7,
    max_side=5000,
    min_side=16,
    max_aspect=20,
)
SMALL = Face(Box(10, 10, 60, 60), 0.9, ARCFACE_112.array() / 2)
LARGE = Face(Box(60, 20, 180, 150), 0.8, ARCFACE_112.array() + np.float32(40))


class FakeDetector:
    """Finds the faces it was given, whatever the picture."""

    provider = "fake"
    well = True

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)
        self.seen: set[tuple[int, ...]] = set()

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        self.seen |= {letterbox(image.pixels, 640)[0].shape[:2] for image in images}
        return [self.faces for _ in images]

    def detect_largest(self, image: Image) -> list[Face]:
        [faces] = self.detect([image])
        return [max(faces, key=lambda face: face.box.area)]


class FakeRecogniser:
    """Keeps the crops it was shown; a feature is the crop's mean colour."""

    contract_id = "c1-fake"
    provider = "fake"
    well = True
    template: AlignmentTemplate = ARCFACE_112

    def __init__(self) -> None:
        self.crops: list[NDArray[np.uint8]] = []

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
        self.crops += crops
        means = [crop.mean(axis=(0, 1), dtype=np.float32) for crop in crops]
        return [Embedding(mean, float(np.linalg.norm(mean)), self.contract_id) for mean in means]


def pipeline(*faces: Face, recogniser: FakeRecogniser | None = None) -> Pipeline:
    judge = QualityJudge(None, min_face=32)
    return Pipeline(LIMITS, FakeDetector(*faces), recogniser or FakeRecogniser(), judge)


PHOTO = corpus.save(corpus.photo(), "PNG")


def test_only_the_chosen_face_is_embedded() -> None:
    recogniser = FakeRecogniser()
    seen = pipeline(SMALL, LARGE, recogniser=recogniser).observe(PHOTO, FaceSelect.LARGEST, "query")
    assert seen.face is LARGE
    assert seen.face_count == 2
    [crop] = recogniser.crops
    np.testing.assert_array_equal(crop, align(seen.image, LARGE, ARCFACE_112))


def test_a_quick_look_is_taken_for_the_largest_face_alone() -> None:
    quick = replace(pipeline(SMALL, LARGE), quick=True)
    assert quick.observe(PHOTO, FaceSelect.LARGEST, "query").face_count == 1
    assert quick.observe(PHOTO, FaceSelect.CENTER, "query").face_count == 2
    assert len(quick.observe_all(PHOTO, "query")) == len(quick.detect(PHOTO).faces) == 2
    with pytest.raises(FaceMultipleError):
        quick.observe(PHOTO, FaceSelect.ONLY, "query")


def test_what_is_observed_belongs_together() -> None:
    seen = pipeline(LARGE).observe(PHOTO, FaceSelect.ONLY, "query")
    assert (seen.image.width, seen.image.height) == (corpus.WIDTH, corpus.HEIGHT)
    assert seen.quality.norm == seen.embedding.norm == np.linalg.norm(seen.embedding.feature)
    assert min(asdict(seen.timings).values()) > 0


def test_one_photo_twice_gives_the_same_feature() -> None:
    whole = pipeline(LARGE)
    first, second = (whole.observe(PHOTO, FaceSelect.ONLY, "query") for _ in range(2))
    np.testing.assert_array_equal(first.embedding.feature, second.embedding.feature)


def test_errors_of_the_stages_come_through() -> None:
    with pytest.raises(FaceNotFoundError):
        pipeline().observe(PHOTO, FaceSelect.LARGEST, "query")
    with pytest.raises(FaceMultipleError):
        pipeline(SMALL, LARGE).observe(PHOTO, FaceSelect.ONLY, "query")
    assert pipeline().detect(PHOTO).faces == []


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_b28_landmarks_that_no_face_has_are_our_error_and_nothing_is_embedded(value: float) -> None:
    recogniser = FakeRecogniser()
    broken = Face(LARGE.box, 0.9, np.full((5, 2), value, dtype=np.float32))
    with pytest.raises(InferenceInvalidError):
        pipeline(broken, recogniser=recogniser).observe(PHOTO, FaceSelect.ONLY, "query")
    assert recogniser.crops == []


def test_L10_every_canvas_is_run_before_the_first_request() -> None:
    whole = pipeline(LARGE)
    whole.warm_up()
    sides = (320, 416, 480, 640)
    assert isinstance(whole.detector, FakeDetector)
    assert whole.detector.seen == {(640, side) for side in sides} | {(side, 640) for side in sides}
    assert isinstance(whole.recogniser, FakeRecogniser)
    assert whole.recogniser.crops[0].shape == (112, 112, 3)


def test_F24_what_fails_in_a_network_fails_the_probe() -> None:
    class Broken(FakeRecogniser):
        def embed(self, crops: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
            raise InferenceFailedError("broken")

    pipeline(LARGE).probe()
    with pytest.raises(InferenceFailedError):
        pipeline(LARGE, recogniser=Broken()).probe()
