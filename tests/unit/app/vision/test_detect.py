"""The detector around the network: canvases, batches, the second pass and the way back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.domain import Face, Image
from app.errors import InferenceInvalidError
from app.inference.session import Session
from app.vision.detect import CLOSE_UP_SIDE, QUICK_SIDE, OnnxDetector, letterbox
from export import package
from export.manifest import DetectorManifest
from tests.hostile import corpus
from tests.unit.export import samples

Array = NDArray[np.float32]
SIDES = (320, 640)
MAIN, CLOSE_UP = [(256, 320), (320, 256)], [(160, 192), (192, 160)]
"""Canvases of a landscape and a portrait of 320×240 pixels in either pass."""


class FakeSession(Session):
    """Answers with whatever it is told to, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Array], list[Array]], *, batchable: bool = True) -> None:
        self.answer = answer
        self.batchable = batchable
        self.provider = "fake"
        self.asked: list[tuple[int, ...]] = []

    def run(self, tensor_NCHW: Array) -> list[Array]:
        self.asked.append(tensor_NCHW.shape)
        return self.answer(tensor_NCHW)


def sees_white(
    reach: float = 2.0, *, span: float = 0, narrowest: int = 0, widest: int = 10_000
) -> FakeSession:
    """An SCRFD that takes each white 8×8 cell for a face reaching `reach` cells to all sides.

    With `span`, faces are as wide as that fraction of the canvas's longer side instead. It is
    blind on canvases whose longer side lies outside `narrowest` to `widest`.
    """

    def answer(tensor: Array) -> list[Array]:
        batch, _, height, width = tensor.shape
        cells = tensor[:, 0].reshape(batch, height // 8, 8, width // 8, 8).mean(axis=(2, 4))
        scores = (cells.transpose(1, 2, 0).reshape(-1) > 0.8).astype(np.float32) * 0.9
        if not narrowest <= max(height, width) <= widest:
            scores[:] = 0
        scores = np.stack([scores, np.zeros_like(scores)], axis=1).reshape(-1, 1)
        rows = [len(scores), len(scores) // 4, len(scores) // 16]
        empty = [np.zeros((count, 1), np.float32) for count in rows[1:]]
        cells_out = span * max(height, width) / 16 or reach
        boxes = [np.full((count, 4), cells_out, np.float32) for count in rows]
        points = [np.tile(np.arange(10, dtype=np.float32) / 10, (count, 1)) for count in rows]
        return [scores, *empty, *boxes, *points]

    return FakeSession(answer)


@pytest.fixture
def manifest(tmp_path: Path) -> DetectorManifest:
    made = package.write(tmp_path / "sample", samples.files(), samples.detector_facts())
    assert isinstance(made.manifest, DetectorManifest)
    assert made.manifest.input_sizes == list(SIDES)
    return made.manifest


def image(height: int, width: int, *spots: tuple[int, int], scale: float = 1.0) -> Image:
    """Black, with white squares whose cells begin at the (x, y) of `spots`, 8 pixels wide for
    every 640 of the longer side, or for less."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    side = 8 * max(1, max(height, width) // 640)
    for x, y in spots:
        pixels[y : y + side, x : x + side] = 255
    return Image(pixels, "png", round(width / scale), round(height / scale), scale)


def edges(face: Face) -> tuple[float, ...]:
    return face.box.left, face.box.top, face.box.right, face.box.bottom


def test_boxes_and_landmarks_are_where_the_network_saw_them(manifest: DetectorManifest) -> None:
    [[face]] = OnnxDetector(sees_white(), manifest).detect([image(240, 320, (160, 80))])
    assert edges(face) == pytest.approx((144, 64, 176, 96))
    expected = np.array([160, 80]) + 0.8 * np.arange(10).reshape(5, 2)
    np.testing.assert_allclose(face.landmarks, expected, atol=1e-3)
    assert face.score == pytest.approx(0.9)


def test_the_way_back_from_a_smaller_canvas(manifest: DetectorManifest) -> None:
    [[face]] = OnnxDetector(sees_white(), manifest).detect([image(960, 1280, (320, 160))])
    assert edges(face) == pytest.approx((288, 128, 352, 192))


def test_boxes_are_pixels_of_the_image_as_it_was_sent(manifest: DetectorManifest) -> None:
    sent = image(240, 320, (160, 80), scale=0.25)
    [[face]] = OnnxDetector(sees_white(), manifest).detect([sent])
    assert edges(face) == pytest.approx((576, 256, 704, 384))


def test_images_of_one_canvas_share_a_batch_and_keep_their_order(
    manifest: DetectorManifest,
) -> None:
    spots = [(16, 8), (160, 80), (240, 160), (80, 40)]
    images = [image(*(((240, 320), (320, 240))[n % 2]), spot) for n, spot in enumerate(spots)]
    session = sees_white()
    together = OnnxDetector(session, manifest).detect(images)
    assert session.asked == [(2, 3, *side) for side in (*MAIN, *CLOSE_UP)]
    alone = [OnnxDetector(sees_white(), manifest).detect([one])[0] for one in images]
    assert [edges(face) for [face] in together] == [edges(face) for [face] in alone]
    assert [edges(face)[0] for [face] in together] == [x - 16 for x, _ in spots]


def test_a_network_without_batches_sees_one_image_at_a_time(manifest: DetectorManifest) -> None:
    session = sees_white()
    session.batchable = False
    OnnxDetector(session, manifest).detect([image(240, 320, (160, 80))] * 3)
    assert session.asked == [(1, 3, *MAIN[0])] * 3 + [(1, 3, *CLOSE_UP[0])] * 3


@pytest.mark.parametrize(("longest", "side"), [(100, 320), (320, 320), (321, 640), (2000, 640)])
def test_the_smallest_input_that_holds_the_image(
    manifest: DetectorManifest, longest: int, side: int
) -> None:
    session = sees_white()
    OnnxDetector(session, manifest).detect([image(longest // 2, longest)])
    assert [shape[3] for shape in session.asked] == [side, CLOSE_UP_SIDE]


def test_a_face_only_the_close_up_pass_can_see(manifest: DetectorManifest) -> None:
    pixels = np.zeros((480, 640, 3), dtype=np.uint8)
    pixels[160:192, 320:352] = 255
    photo = Image(pixels, "png", 640, 480)
    [[face]] = OnnxDetector(sees_white(widest=CLOSE_UP_SIDE), manifest).detect([photo])
    reach = 16 * 640 / CLOSE_UP_SIDE
    expected = (320 - reach, 160 - reach, 320 + reach, 160 + reach)
    assert edges(face) == pytest.approx(expected)
    assert OnnxDetector(sees_white(narrowest=320), manifest).detect([photo])[0]


def test_of_two_views_of_one_large_face_the_finer_stays(manifest: DetectorManifest) -> None:
    pixels = np.zeros((320, 320, 3), dtype=np.uint8)
    pixels[160:176, 160:176] = 255
    session = sees_white(span=0.65)
    [[face]] = OnnxDetector(session, manifest).detect([Image(pixels, "png", 320, 320)])
    assert [shape[3] for shape in session.asked] == [320, CLOSE_UP_SIDE]
    assert face.box.width == pytest.approx(0.65 * 320)


@pytest.mark.parametrize(("span", "seen"), [(0.9, True), (0.62, True), (0.55, False), (0.2, False)])
def test_a_bystander_does_not_hide_the_close_up(
    manifest: DetectorManifest, span: float, seen: bool
) -> None:
    """Small faces that only the second pass sees are doubtful where the main one saw someone."""
    photo = image(640, 640, (80, 80))
    photo.pixels[320:352, 320:352] = 128

    def white_or_grey(tensor: Array) -> list[Array]:
        if max(tensor.shape[2:]) != CLOSE_UP_SIDE:
            return sees_white(span=0.1).run(tensor)
        return sees_white(span=span).run(np.where(np.abs(tensor) < 0.1, 1, -1))

    found = OnnxDetector(FakeSession(white_or_grey), manifest).detect([photo])[0]
    widths = sorted(face.box.width / 640 for face in found)
    assert widths == pytest.approx([0.1, span] if seen else [0.1], rel=1e-3)


def test_of_two_views_of_a_face_larger_than_the_frame_the_close_ups_stays(
    manifest: DetectorManifest,
) -> None:
    pixels = np.zeros((320, 320, 3), dtype=np.uint8)
    pixels[160:192, 160:192] = 255
    views = {320: sees_white(span=1.05), CLOSE_UP_SIDE: sees_white(span=1.2)}
    session = FakeSession(lambda tensor: views[max(tensor.shape[2:])].run(tensor))
    [[face]] = OnnxDetector(session, manifest).detect([Image(pixels, "png", 320, 320)])
    assert face.box.width == pytest.approx(1.2 * 320)


@pytest.mark.parametrize("part", [3, 6])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_b28_a_network_that_gives_no_number(
    manifest: DetectorManifest, part: int, value: float
) -> None:
    """A box of NaN would otherwise win over every face that it is compared with."""
    sound = sees_white()

    def broken(tensor: Array) -> list[Array]:
        outputs = sound.answer(tensor)
        outputs[part][:] = value
        return outputs

    with pytest.raises(InferenceInvalidError, match="not finite"):
        OnnxDetector(FakeSession(broken), manifest).detect([image(240, 320, (160, 80))])


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from([CLOSE_UP_SIDE, 320, 640]))
def test_the_letterbox_holds_the_whole_image(height: int, width: int, side: int) -> None:
    canvas, scale = letterbox(np.full((height, width, 3), 255, dtype=np.uint8), side)
    assert canvas.dtype == np.uint8
    assert max(canvas.shape[:2]) == side
    assert canvas.shape[0] % 32 == canvas.shape[1] % 32 == 0
    assert scale == pytest.approx(side / max(height, width))
    rows, columns = (canvas[:, 0, 0] > 0).sum(), (canvas[0, :, 0] > 0).sum()
    assert abs(rows - max(1, height * scale)) <= 1
    assert abs(columns - max(1, width * scale)) <= 1
    assert canvas[:rows, :columns].all()
    assert canvas.astype(bool).sum() == rows * columns * 3


def test_the_letterbox_leaves_an_image_that_fits_alone() -> None:
    pixels = corpus.photo(320, 240)
    canvas, scale = letterbox(pixels, 320)
    assert scale == 1
    np.testing.assert_array_equal(canvas[:240], pixels)
    assert not canvas[240:].any()


def test_photos_share_few_canvases() -> None:
    shapes = {
        letterbox(np.zeros((height, 640, 3), dtype=np.uint8), 640)[0].shape
        for height in range(10, 641, 30)
    }
    assert len(shapes) == 4


def spotted(side: int) -> Image:
    """640×480 with one white square that every pass can see."""
    pixels = np.zeros((480, 640, 3), dtype=np.uint8)
    pixels[160 : 160 + side, 320 : 320 + side] = 255
    return Image(pixels, "png", 640, 480)


def largest(faces: list[Face]) -> tuple[float, ...]:
    return edges(max(faces, key=lambda face: face.box.area))


def test_a_large_face_is_found_without_the_main_pass(manifest: DetectorManifest) -> None:
    session = sees_white(span=0.3)
    found = OnnxDetector(session, manifest).detect_largest(spotted(16))
    assert sorted(shape[3] for shape in session.asked) == [CLOSE_UP_SIDE, QUICK_SIDE]
    thorough = OnnxDetector(sees_white(span=0.3), manifest).detect([spotted(16)])[0]
    assert largest(found) == pytest.approx(largest(thorough), abs=16)


def test_where_only_small_faces_show_the_main_pass_decides(manifest: DetectorManifest) -> None:
    session = sees_white(span=0.1)
    found = OnnxDetector(session, manifest).detect_largest(spotted(16))
    assert sorted(shape[3] for shape in session.asked) == [CLOSE_UP_SIDE, QUICK_SIDE, 640]
    thorough = OnnxDetector(sees_white(span=0.1), manifest).detect([spotted(16)])[0]
    assert [edges(face) for face in found] == [edges(face) for face in thorough]


def test_where_nobody_shows_the_main_pass_decides(manifest: DetectorManifest) -> None:
    photo = image(480, 640, (320, 160))  # too few pixels for all but the main pass
    detector = OnnxDetector(sees_white(narrowest=640), manifest)
    assert [edges(face) for face in detector.detect_largest(photo)] == [
        edges(face) for face in detector.detect([photo])[0]
    ]


def test_of_a_small_photo_nothing_is_saved(manifest: DetectorManifest) -> None:
    session = sees_white()
    OnnxDetector(session, manifest).detect_largest(image(240, 320, (160, 80)))
    assert [shape[3] for shape in session.asked] == [QUICK_SIDE, CLOSE_UP_SIDE]
