"""Real faces in odd photos: turned, tiny, cut, blurred, many, none, and several threads at once."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFilter
import PIL.ImageOps
import pytest
import skimage

from app.domain import Face, FaceSelect, Observation, Reason
from app.errors import FaceMultipleError, FaceNotFoundError
from app.service import Service
from app.vision.decode import decode
from export.contract import cosine
from tests.conftest import Faces
from tests.hostile import corpus
from tests.unit.app.vision.test_decode import STORED

Picture = PIL.Image.Image
Observe = Callable[[Picture], Observation]


@pytest.fixture(scope="module")
def woman(faces: Faces) -> Picture:
    """The portrait of a woman, 512×512; her face is 91 pixels wide."""
    return PIL.Image.open(io.BytesIO(faces.other)).convert("RGB")


@pytest.fixture(scope="module")
def observe(service: Service) -> Observe:
    return lambda picture: service.pipeline.observe(
        corpus.save(picture, "PNG"), FaceSelect.LARGEST, "query"
    )


def edges(face: Face) -> list[float]:
    return [face.box.left, face.box.top, face.box.right, face.box.bottom]


@pytest.mark.parametrize("orientation", STORED)
def test_b18_every_orientation_shows_the_same_face(
    service: Service, observe: Observe, woman: Picture, orientation: int
) -> None:
    method = STORED[orientation]
    stored = woman.transpose(method) if method is not None else woman
    data = corpus.save(stored, "JPEG", quality=95)
    data = corpus.with_exif(data, corpus.exif(orientation))
    turned, upright = service.pipeline.observe(data, FaceSelect.ONLY, "query"), observe(woman)
    assert edges(turned.face) == pytest.approx(edges(upright.face), abs=1)
    assert np.abs(turned.face.landmarks - upright.face.landmarks).max() < 1
    assert cosine(turned.embedding.feature, upright.embedding.feature) > 0.99


def test_b23_a_cat_is_no_one(observe: Observe) -> None:
    with pytest.raises(FaceNotFoundError):
        observe(PIL.Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png"))


def collage(face: Picture, columns: int, rows: int) -> bytes:
    whole = PIL.Image.new("RGB", (columns * face.width, rows * face.height))
    for n in range(columns * rows):
        whole.paste(face, ((n % columns) * face.width, (n // columns) * face.height))
    return corpus.save(whole, "PNG")


def test_b24_fifty_faces(service: Service, woman: Picture) -> None:
    crowd = collage(woman.crop((150, 10, 310, 190)).resize((160, 160)), 10, 5)
    assert len(service.pipeline.detect(crowd).faces) == 50
    with pytest.raises(FaceMultipleError) as refused:
        service.pipeline.observe(crowd, FaceSelect.ONLY, "query")
    assert len(refused.value.details["faces"]) == 50  # type: ignore[arg-type]


def test_b24_a_thousand_faces_get_an_answer(service: Service, woman: Picture) -> None:
    crowd = collage(woman.crop((150, 10, 310, 190)).resize((64, 64)), 40, 25)
    assert len(service.pipeline.detect(crowd).faces) <= 1000


@pytest.mark.parametrize(("width", "found"), [(8, False), (28, True)])
def test_b25_a_small_face_is_not_found_or_said_to_be_small(
    observe: Observe, woman: Picture, width: int, found: bool
) -> None:
    side = round(512 * width / 91)
    far = PIL.Image.new("RGB", (512, 512), (128, 128, 128))
    far.paste(woman.resize((side, side), PIL.Image.Resampling.LANCZOS), (200, 200))
    if found:
        assert Reason.FACE_TOO_SMALL in observe(far).quality.reasons
        return
    with pytest.raises(FaceNotFoundError):
        observe(far)


@pytest.mark.parametrize(("part", "clipped"), [(-0.3, False), (0.0, False), (0.4, True)])
@pytest.mark.parametrize("side", ["right", "top", "bottom"])
def test_b25_a_face_cut_by_the_border_is_said_to_be_clipped(
    observe: Observe, woman: Picture, side: str, part: float, clipped: bool
) -> None:
    """Detectors draw a cut face's box inside the photo, so its box shows nothing."""
    box = observe(woman).face.box
    down = part * box.height
    frame = {
        "right": (0, 0, box.right - part * box.width, 512),
        "top": (0, max(box.top + down, 0), 512, 512),
        "bottom": (0, 0, 512, box.bottom - down),
    }[side]
    cut = woman.crop((round(frame[0]), round(frame[1]), round(frame[2]), round(frame[3])))
    assert (Reason.FACE_CLIPPED in observe(cut).quality.reasons) == clipped


def test_b26_a_mirrored_face_is_the_same_person(observe: Observe, woman: Picture) -> None:
    mirrored = observe(PIL.ImageOps.mirror(woman)).embedding.feature
    assert cosine(observe(woman).embedding.feature, mirrored) > 0.9


TURNS = {90: lambda x, y: (y, 511 - x), 180: lambda x, y: (511 - x, 511 - y)}
TURNS[270] = lambda x, y: (511 - y, x)


@pytest.mark.parametrize("degrees", TURNS)
def test_b26_without_exif_a_turned_photo_is_taken_as_it_is(
    observe: Observe, woman: Picture, degrees: int
) -> None:
    """Nothing is turned by guess: a face is reported where it is in the photo as sent."""
    upright, turned = observe(woman).face, observe(woman.rotate(degrees)).face
    expected = TURNS[degrees](*upright.landmarks.mean(axis=0))
    assert np.abs(turned.landmarks.mean(axis=0) - expected).max() < 30


def test_b27_quality_falls_with_blur_until_it_is_refused(observe: Observe, woman: Picture) -> None:
    blurred = [woman.filter(PIL.ImageFilter.GaussianBlur(sigma)) for sigma in (0, 3, 6, 9)]
    seen = [observe(picture).quality for picture in blurred]
    assert [q.norm for q in seen] == sorted((q.norm for q in seen), reverse=True)
    assert seen[0].reasons == ()
    assert {Reason.LOW_QUALITY, Reason.BLURRED} <= set(seen[-1].reasons)


def test_b27_a_dark_photo_is_said_to_be_dark(observe: Observe, woman: Picture) -> None:
    half, dark = (observe(woman.point(lambda v, f=f: v * f)).quality for f in (0.5, 0.12))
    assert half.reasons == ()
    assert Reason.UNDER_EXPOSED in dark.reasons


def test_b30_the_same_photo_twice_is_one(observe: Observe, woman: Picture) -> None:
    first, second = observe(woman).embedding.feature, observe(woman).embedding.feature
    np.testing.assert_array_equal(first, second)
    assert cosine(first, second) == pytest.approx(1, abs=1e-6)


def test_parallel_requests_get_what_they_would_get_alone(service: Service, faces: Faces) -> None:
    photos = [faces.group, faces.portrait, faces.other, faces.portrait_again] * 3

    def feature(photo: bytes) -> bytes:
        seen = service.pipeline.observe(photo, FaceSelect.LARGEST, "query")
        return seen.face.landmarks.tobytes() + seen.embedding.feature.tobytes()

    alone = [feature(photo) for photo in photos[:4]] * 3
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(feature, photos)) == alone


def test_photos_in_one_batch_get_what_they_would_get_alone(
    service: Service, woman: Picture
) -> None:
    limits, detector = service.pipeline.limits, service.pipeline.detector
    pictures = [woman, PIL.ImageOps.mirror(woman), woman.crop((0, 0, 512, 400)), woman]
    images = [decode(corpus.save(picture, "PNG"), limits) for picture in pictures]
    for image, together in zip(images, detector.detect(images), strict=True):
        [alone] = detector.detect([image])
        assert len(together) == len(alone) == 1
        assert edges(together[0]) == pytest.approx(edges(alone[0]), abs=0.01)
        assert np.abs(together[0].landmarks - alone[0].landmarks).max() < 0.01
