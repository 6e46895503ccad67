"""Pixels of every variety that is read, and their size where a JPEG was decoded smaller."""

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from app.domain import ImageFormat
from app.errors import ImageUndecodableError, ImageUnsupportedError
from app.vision.decode import DECODE_SIDE, decode, sniff
from app.vision.limits import ImageLimits
from tests.hostile import corpus

LIMITS = ImageLimits(
    max_bytes=10**8,
    max_pixels=16_000_000,
    max_jpeg_pixels=64_000_000,
    max_side=12_000,
    min_side=1,
    max_aspect=100,
)

Pixels = NDArray[np.uint8]


def pixels(data: bytes) -> Pixels:
    found = decode(data, LIMITS).pixels
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    return found


def image(values: NDArray[np.generic]) -> PIL.Image.Image:
    return PIL.Image.fromarray(values)


LEFT_TO_RIGHT, TOP_TO_BOTTOM = (
    PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    PIL.Image.Transpose.FLIP_TOP_BOTTOM,
)
STORED = {
    1: None,
    2: LEFT_TO_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: TOP_TO_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_90,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_270,
}
"""How a camera that writes this orientation has stored the upright picture."""


def stored(orientation: int, upright: Pixels) -> PIL.Image.Image:
    method = STORED[orientation]
    return image(upright) if method is None else image(upright).transpose(method)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_orientation_gives_the_same_upright_pixels(orientation: int, order: str) -> None:
    upright = corpus.photo(90, 60)
    tags = corpus.exif(orientation, order)
    for kind in ("PNG", "WEBP"):
        lossless = {"lossless": True} if kind == "WEBP" else {}
        found = decode(
            corpus.save(stored(orientation, upright), kind, exif=b"Exif\0\0" + tags, **lossless),
            LIMITS,
        )
        np.testing.assert_array_equal(found.pixels, upright)
        assert (found.width, found.height, found.scale) == (90, 60, 1.0)


@pytest.mark.parametrize("orientation", STORED)
def test_orientation_of_a_jpeg(orientation: int) -> None:
    upright = corpus.photo(96, 64)
    whole = corpus.save(stored(orientation, upright), "JPEG", quality=98, subsampling=0)
    found = decode(corpus.with_exif(whole, corpus.exif(orientation)), LIMITS)
    assert np.abs(found.pixels.astype(int) - upright).max() < 16
    assert (found.width, found.height) == (96, 64)


def test_grey_becomes_rgb() -> None:
    grey = corpus.photo()[..., 0]
    np.testing.assert_array_equal(pixels(corpus.save(grey, "PNG")), np.dstack([grey] * 3))


def test_sixteen_bit_grey_keeps_its_upper_byte() -> None:
    """Pillow's own conversion clips: all but the darkest 256th would be white."""
    ramp = np.linspace(0, 65_535, 64 * 64).astype(np.uint16).reshape(64, 64)
    found = pixels(corpus.png(corpus.unfiltered(ramp), 16, 0, sides=(64, 64)))
    np.testing.assert_array_equal(found, np.dstack([(ramp >> 8).astype(np.uint8)] * 3))


def test_sixteen_bit_colour_keeps_its_upper_byte() -> None:
    values = np.random.default_rng(0).integers(0, 65_536, (16, 16, 3)).astype(np.uint16)
    found = pixels(corpus.png(corpus.unfiltered(values.reshape(16, 48)), 16, 2))
    np.testing.assert_array_equal(found, values >> 8)


def test_one_bit_is_black_and_white() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (16, 16)).astype(bool)
    rows = np.packbits(bits, axis=1)
    found = pixels(corpus.png(corpus.unfiltered(rows), 1, 0))
    np.testing.assert_array_equal(found, np.dstack([bits * 255] * 3))


@pytest.mark.parametrize("depth", [2, 4])
def test_few_bits_span_the_whole_range(depth: int) -> None:
    top = 2**depth - 1
    values = np.arange(256).reshape(16, 16).astype(np.uint8) % (top + 1)
    bits = np.unpackbits(values[..., None], axis=2)[..., -depth:].reshape(16, -1)
    found = pixels(corpus.png(corpus.unfiltered(np.packbits(bits, axis=1)), depth, 0))
    np.testing.assert_array_equal(found[..., 0], values * (255 // top))


def test_a_palette_is_looked_up() -> None:
    indexes = np.random.default_rng(0).integers(0, 5, (16, 16)).astype(np.uint8)
    colours = np.random.default_rng(1).integers(0, 256, (5, 3)).astype(np.uint8)
    palette = corpus.chunk(b"PLTE", colours.tobytes())
    found = pixels(corpus.png(corpus.unfiltered(indexes), 8, 3, palette))
    np.testing.assert_array_equal(found, colours[indexes])


def test_an_index_beyond_the_palette_is_refused() -> None:
    palette = corpus.chunk(b"PLTE", bytes(15))
    for index, sound in ((4, True), (5, False)):
        rows = corpus.unfiltered(np.full((16, 16), index, dtype=np.uint8))
        data = corpus.png(rows, 8, 3, palette)
        if sound:
            assert not pixels(data).any()
            continue
        with pytest.raises(ImageUndecodableError, match="5 colours"):
            decode(data, LIMITS)


def on_white(colours: Pixels, alpha: Pixels) -> NDArray[np.float64]:
    part = alpha[..., None] / 255
    return colours * part + 255 * (1 - part)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_alpha_lets_white_through(kind: str) -> None:
    colours = corpus.photo()
    alpha = np.linspace(0, 255, colours[..., 0].size).astype(np.uint8).reshape(colours.shape[:2])
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = corpus.save(image(np.dstack([colours, alpha])), kind, **options)
    assert np.abs(pixels(data) - on_white(colours, alpha)).max() <= 1


def test_grey_with_alpha_lets_white_through() -> None:
    values = np.random.default_rng(0).integers(0, 256, (16, 16, 2)).astype(np.uint8)
    found = pixels(corpus.png(corpus.unfiltered(values.reshape(16, 32)), 8, 4))
    expected = on_white(np.dstack([values[..., 0]] * 3), values[..., 1])
    assert np.abs(found - expected).max() <= 1


def test_a_palettes_transparent_colour_is_white() -> None:
    indexes = (np.arange(256) % 3).astype(np.uint8).reshape(16, 16)
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], dtype=np.uint8)
    chunks = corpus.chunk(b"PLTE", colours.tobytes()), corpus.chunk(b"tRNS", b"\xff\x00")
    found = pixels(corpus.png(corpus.unfiltered(indexes), 8, 3, *chunks))
    colours[1] = 255
    np.testing.assert_array_equal(found, colours[indexes])


@pytest.mark.parametrize(("colour", "key"), [(0, (7,)), (2, (7, 8, 9))])
def test_a_colour_declared_transparent_is_white(colour: int, key: tuple[int, ...]) -> None:
    values = np.full((16, 16, len(key)), 50, dtype=np.uint8)
    values[3:9] = key
    hidden = corpus.chunk(b"tRNS", np.array(key, dtype=">u2").tobytes())
    found = pixels(corpus.png(corpus.unfiltered(values.reshape(16, -1)), 8, colour, hidden))
    assert np.all(found[3:9] == 255)
    assert np.all(found[9:] == 50)


def test_cmyk_is_converted() -> None:
    """A photo's inks give the photo back, darker by no more than rounding."""
    upright = corpus.photo()
    cmyk = corpus.save(image(upright).convert("CMYK"), "JPEG", quality=98, subsampling=0)
    assert np.abs(pixels(cmyk).astype(int) - upright).mean() < 3


def test_colours_are_in_the_order_red_green_blue() -> None:
    red = np.zeros((32, 32, 3), dtype=np.uint8)
    red[..., 0] = 250
    for kind in ("JPEG", "PNG", "WEBP"):
        assert pixels(corpus.save(red, kind))[16, 16, 0] > 200
        assert pixels(corpus.save(red, kind))[16, 16, 2] < 50


@pytest.mark.parametrize(
    ("sides", "decoded"),
    [
        ((2 * DECODE_SIDE, 1920), (DECODE_SIDE, 960)),
        ((2 * DECODE_SIDE - 2, 1918), (2 * DECODE_SIDE - 2, 1918)),
        ((1800, 4000), (675, 1500)),
        ((8000, 500), (2000, 125)),
    ],
)
def test_a_large_jpeg_is_decoded_smaller(sides: tuple[int, int], decoded: tuple[int, int]) -> None:
    found = decode(corpus.flat(*sides, "JPEG"), LIMITS)
    assert (found.width, found.height) == sides
    assert found.pixels.shape == (decoded[1], decoded[0], 3)
    assert found.scale == pytest.approx(decoded[0] / sides[0])
    assert max(found.pixels.shape) >= DECODE_SIDE


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_scaled_jpeg_shows_the_same_upright_picture(orientation: int) -> None:
    upright = np.asarray(cv2.resize(corpus.photo(200, 150), (2800, 2100)), dtype=np.uint8)
    whole = corpus.jpeg(np.asarray(stored(orientation, upright)))
    found = decode(corpus.with_exif(whole, corpus.exif(orientation)), LIMITS)
    assert (found.width, found.height, found.scale) == (2800, 2100, 0.5)
    smaller = cv2.resize(upright, (1400, 1050), interpolation=cv2.INTER_AREA)
    assert np.abs(found.pixels.astype(int) - smaller).mean() < 3


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"),
    ],
)
def test_the_first_bytes_name_the_format(data: bytes, kind: ImageFormat) -> None:
    assert sniff(data) == kind


@pytest.mark.parametrize(
    "data", [b"\xff\xd8", b"\x89PNG\n\n", b"RIFF\x00\x00\x00\x00WAVE", b" \xff\xd8\xff", b""]
)
def test_near_misses_are_no_format(data: bytes) -> None:
    with pytest.raises(ImageUnsupportedError):
        sniff(data)
