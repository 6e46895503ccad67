"""Hostile images against `decode`: an error of ours or the right pixels, and nothing in between."""

import io
from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest

from app.domain import FaceSelect, Image
from app.errors import (
    FaceNotFoundError,
    ImageDimensionsError,
    ImageEmptyError,
    ImageTooLargeError,
    ImageUndecodableError,
    ImageUnsupportedError,
    NormaError,
)
from app.service import Service
from app.vision.decode import decode
from app.vision.limits import ImageLimits
from tests.conftest import Faces
from tests.hostile import corpus
from tests.hostile.faceless import b21_faceless, b22_hidden
from tests.hostile.mutations import mutated

LIMITS = ImageLimits(
    max_bytes=10 * 1024 * 1024,
    max_pixels=16_000_000,
    max_jpeg_pixels=64_000_000,
    max_side=12_000,
    min_side=16,
    max_aspect=20,
)

# Pillow warns of broken EXIF; a service goes on, and so do these tests.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def each(files: corpus.Files) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("data", files.values(), ids=list(files))


def refused(data: bytes, why: type[NormaError]) -> NormaError:
    with pytest.raises(why) as caught:
        decode(data, LIMITS)
    assert type(caught.value) is why
    return caught.value


@each(corpus.b01_empty())
def test_b01_an_empty_file(data: bytes) -> None:
    refused(data, ImageEmptyError)


@each(corpus.b02_noise() | corpus.b03_other_files() | corpus.b04_other_formats())
def test_b02_b03_b04_what_is_no_jpeg_png_or_webp(data: bytes) -> None:
    assert refused(data, ImageUnsupportedError).details["accepted"] == ["jpeg", "png", "webp"]


@each(corpus.b02_magic_alone())
def test_b02_magic_bytes_and_nothing_behind_them(data: bytes) -> None:
    refused(data, ImageUndecodableError)


@each(corpus.b06_polyglots())
def test_b06_a_tail_behind_the_end_is_ignored(data: bytes) -> None:
    whole = corpus.jpeg() if data[:2] == b"\xff\xd8" else corpus.save(corpus.photo(), "PNG")
    np.testing.assert_array_equal(decode(data, LIMITS).pixels, decode(whole, LIMITS).pixels)


JPEGS = {
    "baseline": corpus.jpeg(),
    "progressive": corpus.jpeg(progressive=True),
    "restarts": corpus.jpeg(restart_marker_blocks=4),
    "grey": corpus.save(PIL.Image.fromarray(corpus.photo()).convert("L"), "JPEG"),
    "CMYK": corpus.save(PIL.Image.fromarray(corpus.photo()).convert("CMYK"), "JPEG"),
}
WHOLE = JPEGS | {
    "png": corpus.save(corpus.photo(), "PNG"),
    "webp": corpus.save(corpus.photo(), "WEBP", quality=80),
    "lossless webp": corpus.save(corpus.photo(), "WEBP", lossless=True),
}


@each(WHOLE)
def test_b07_a_truncated_file_is_never_half_decoded(data: bytes) -> None:
    """A lenient decoder fills what is missing with grey, or with the previous caller's face."""
    for part in corpus.b07_truncated(data):
        decode(corpus.jpeg(corpus.photo(seed=7)), LIMITS)
        refused(part, ImageUndecodableError)


@each(JPEGS)
def test_b08_a_jpeg_with_a_hole_is_refused(data: bytes) -> None:
    for part in corpus.b08_holed(data).values():
        refused(part, ImageUndecodableError)


def test_b08_a_progressive_jpeg_that_ends_early_is_refused() -> None:
    cut = corpus.b08_between_scans()
    assert len(cut) > 5
    for part in cut:
        refused(part, ImageUndecodableError)


@each(corpus.b09_broken_jpegs() | corpus.b11_lying_jpegs())
def test_b09_b11_a_jpeg_with_a_broken_header(data: bytes) -> None:
    refused(data, ImageUndecodableError)


def test_b10_a_thousand_scans() -> None:
    assert "scans" in refused(corpus.b10_scans(), ImageUndecodableError).message
    assert decode(corpus.jpeg(progressive=True), LIMITS).width == 192


BROKEN_PNGS = corpus.b12_broken_pngs()


@each(BROKEN_PNGS)
def test_b12_a_broken_png(data: bytes) -> None:
    with pytest.raises(ImageUndecodableError):
        decode(data, replace(LIMITS, max_bytes=2**30))


@each(corpus.b12_odd_pngs())
def test_b12_an_odd_png_of_one_grey(data: bytes) -> None:
    pixels = decode(data, LIMITS).pixels
    assert pixels.shape == (16, 16, 3)
    assert np.all(pixels == 77)


@each(corpus.b14_animations())
def test_b14_the_first_frame_counts(data: bytes) -> None:
    difference = decode(data, LIMITS).pixels.astype(int) - corpus.photo()
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("name", ["lossless", "lossy"])
def test_b15_a_header_that_promises_too_much(name: str) -> None:
    error = refused(corpus.b15_webp_bombs()[name], ImageDimensionsError)
    assert error.details == {"width": 16_383, "height": 16_383}


@each({"canvas": corpus.b15_webp_bombs()["canvas"]} | corpus.b15_broken_webps())
def test_b15_a_webp_that_lies(data: bytes) -> None:
    refused(data, ImageUndecodableError)


@each(corpus.b16_sides())
def test_b16_sides_that_no_photo_has(data: bytes) -> None:
    with pytest.raises((ImageDimensionsError, ImageUndecodableError)):
        decode(data, LIMITS)


SMALL = ImageLimits(
    max_bytes=10**6, max_pixels=6000, max_jpeg_pixels=8000, max_side=120, min_side=40, max_aspect=2
)
AT_THE_LIMIT = [
    ((100, 60), (100, 61), "PNG", "6000 pixels"),
    ((100, 60), (100, 61), "WEBP", "6000 pixels"),
    ((100, 80), (100, 81), "JPEG", "8000 pixels"),
    ((80, 40), (78, 39), "JPEG", "at least 40"),
    ((120, 60), (121, 61), "JPEG", "at most 120"),
    ((60, 120), (61, 121), "JPEG", "at most 120"),
    ((90, 45), (91, 45), "PNG", "factor of 2"),
    ((45, 90), (45, 91), "PNG", "factor of 2"),
]


@pytest.mark.parametrize(("within", "beyond", "kind", "why"), AT_THE_LIMIT)
def test_b17_sides_at_the_limit_and_one_beyond(
    within: tuple[int, int], beyond: tuple[int, int], kind: str, why: str
) -> None:
    limits = replace(SMALL, max_pixels=7500) if "at most" in why else SMALL
    image = decode(corpus.flat(*within, kind), limits)
    assert (image.width, image.height) == within
    with pytest.raises(ImageDimensionsError, match=why):
        decode(corpus.flat(*beyond, kind), limits)


def test_b17_what_decodes_whole_has_the_lower_limit() -> None:
    pixels = corpus.photo(100, 70)
    assert decode(corpus.jpeg(pixels), SMALL).width == 100
    cmyk = corpus.save(PIL.Image.fromarray(pixels).convert("CMYK"), "JPEG")
    for data in (corpus.jpeg(pixels, progressive=True), cmyk):
        with pytest.raises(ImageDimensionsError, match="6000 pixels"):
            decode(data, SMALL)


def test_b17_bytes_at_the_limit_and_one_beyond() -> None:
    data = corpus.jpeg()
    decode(data, replace(LIMITS, max_bytes=len(data)))
    with pytest.raises(ImageTooLargeError) as caught:
        decode(data, replace(LIMITS, max_bytes=len(data) - 1))
    assert caught.value.details == {"limit_bytes": len(data) - 1}


@each(corpus.b18_broken_exif())
def test_b18_broken_exif_does_not_cost_the_photo(data: bytes) -> None:
    np.testing.assert_array_equal(decode(data, LIMITS).pixels, decode(corpus.jpeg(), LIMITS).pixels)


PROFILES = corpus.b19_colour_profiles()


@each({name: data for name, data in PROFILES.items() if name != "huge PNG"})
def test_b19_colour_profiles_are_ignored(data: bytes) -> None:
    np.testing.assert_array_equal(decode(data, LIMITS).pixels, corpus.photo())


def test_b19_a_profile_that_unpacks_to_megabytes_is_refused() -> None:
    refused(PROFILES["huge PNG"], ImageUndecodableError)


def test_b20_nothing_personal_survives() -> None:
    owner = "Jane Q. Public"
    data = corpus.b20_personal_exif(owner)
    assert owner.encode() in data
    image = decode(data, LIMITS)
    assert {field.name for field in fields(Image)} == {
        "pixels",
        "format",
        "width",
        "height",
        "scale",
    }
    assert image.pixels.base is None or owner.encode() not in bytes(image.pixels.base)
    assert owner not in refused(data[:-100], ImageUndecodableError).message


@each(b21_faceless())
def test_b21_no_face_where_none_is(data: bytes, service: Service) -> None:
    with pytest.raises(FaceNotFoundError):
        service.pipeline.observe(data, FaceSelect.LARGEST, "query")


def test_b22_a_face_under_full_transparency_is_not_seen(service: Service, faces: Faces) -> None:
    hidden = b22_hidden(faces.portrait)
    with PIL.Image.open(io.BytesIO(hidden)) as opened:
        shown = corpus.jpeg(np.asarray(opened.convert("RGB")))
    assert len(service.pipeline.detect(shown).faces) == 1
    assert np.all(decode(hidden, LIMITS).pixels == 255)
    with pytest.raises(FaceNotFoundError):
        service.pipeline.observe(hidden, FaceSelect.LARGEST, "query")


def outcome(data: bytes, limits: ImageLimits) -> str:
    try:
        image = decode(data, limits)
    except NormaError as error:
        return error.code
    limits.check_sides(image.width, image.height, image.format, scaled=False)
    assert image.pixels.shape == (image.height, image.width, 3)
    return "decoded"


def test_b32_mutated_files_end_in_an_answer() -> None:
    """Every exception but ours would be a crash; every size beyond the limits a bomb."""
    limits = replace(LIMITS, max_pixels=40_000, max_jpeg_pixels=40_000)
    found = [outcome(data, limits) for data in mutated(seed=32, count=500)]
    assert found.count("image_undecodable") > 200
    assert found.count("decoded") > 20


@pytest.fixture
def _lenient() -> Iterator[None]:
    """Another library in the process may have set Pillow's switch."""
    PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True
    yield
    PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False


@pytest.mark.usefixtures("_lenient")
def test_no_truncated_file_gets_through_a_lenient_process() -> None:
    for kind in ("PNG", "WEBP"):
        refused(corpus.save(corpus.photo(), kind), ImageUndecodableError)
