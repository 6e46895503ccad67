"""Bytes to upright RGB pixels: JPEG, PNG and WebP, strictly.

A damaged file is refused, never half-decoded: a half-decoded face is another face. JPEGs go
through libjpeg-turbo with every warning fatal, since lenient decoders fill holes with grey, and
some with the previous image. The one place that catches everything, because decoders raise
whatever they like on hostile bytes.
"""

import io

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.WebPImagePlugin
import simplejpeg
from numpy.typing import NDArray

from app.domain import Image, ImageFormat
from app.errors import DecodeBusyError, ImageUndecodableError, ImageUnsupportedError, NormaError
from app.vision.containers import check_png, jpeg_structure
from app.vision.limits import ImageLimits
from app.vision.memory import peak_bytes

# Pillow's own guard would warn before ours has spoken; `ImageLimits` is checked on every header.
PIL.Image.MAX_IMAGE_PIXELS = None

# Now, not at the first photo; and with WebP's reader there, Pillow does not go looking for it among
# the forty others that it would load.
PIL.Image.preinit()

DECODE_SIDE = 1280
"""A JPEG whose longer side is at least twice this is decoded scaled, down to no less than this."""

_BACKGROUND = (255, 255, 255)
"""What shows through transparent pixels."""

_EXIF_ORIENTATION = 0x0112


def decode(data: bytes, limits: ImageLimits) -> Image:
    """Decode one image.

    Grey becomes RGB; 16-bit grey keeps its upper byte; palettes are looked up; transparency is
    composited on white; CMYK is converted; EXIF orientation is applied; of an animation the
    first frame counts; colour profiles are ignored.

    Raises ImageEmptyError, ImageTooLargeError, ImageUnsupportedError, ImageDimensionsError or
    ImageUndecodableError.
    """
    limits.check_bytes(len(data))
    kind = sniff(data)
    try:
        return _decode(data, kind, limits)
    except NormaError:
        raise
    except MemoryError as error:  # the process's own limit; the image may be sound
        raise DecodeBusyError("there is no memory left to decode this image") from error
    except Exception as error:
        raise ImageUndecodableError(f"the {kind} is damaged or of an unknown variety") from error


def sniff(data: bytes) -> ImageFormat:
    """The format by magic bytes; names and declared types are not believed.

    Raises ImageUnsupportedError.
    """
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    raise ImageUnsupportedError(
        "only JPEG, PNG and WebP are read", accepted=["jpeg", "png", "webp"]
    )


def _decode(data: bytes, kind: ImageFormat, limits: ImageLimits) -> Image:
    jpeg = jpeg_structure(data) if kind == "jpeg" else None
    if kind == "png":
        check_png(data)
    with PIL.Image.open(io.BytesIO(data), formats=(kind.upper(),)) as opened:
        sides = (opened.width, opened.height)
        scaled = jpeg is not None and not jpeg.whole and opened.mode != "CMYK"
        # Before anything else is asked of `opened`: even reading a PNG's EXIF decodes the pixels.
        limits.check_sides(*sides, kind, scaled=scaled)
        with limits.memory.reserve(_peak_bytes(opened, kind, scaled=scaled)):
            pixels = _flatten(opened) if jpeg is None else _jpeg(data, opened)
            orientation = _orientation(opened)
            upright = _upright(pixels, orientation)
    width, height = sides if orientation < 5 else sides[::-1]
    return Image(
        pixels=upright,
        format=kind,
        width=width,
        height=height,
        scale=pixels.shape[1] / sides[0],
    )


def _peak_bytes(opened: PIL.Image.Image, kind: ImageFormat, *, scaled: bool) -> int:
    pixels = opened.width * opened.height
    if scaled:
        pixels = min(pixels, (2 * DECODE_SIDE) ** 2)
    return peak_bytes(kind, pixels, transparent=_is_transparent(opened))


def _is_transparent(opened: PIL.Image.Image) -> bool:
    return "A" in opened.mode or "transparency" in opened.info


def _jpeg(data: bytes, opened: PIL.Image.Image) -> NDArray[np.uint8]:
    if opened.mode == "CMYK":
        # Pillow converts these; the strict decoder only looks for damage, at its smallest scale.
        simplejpeg.decode_jpeg(data, colorspace="CMYK", min_height=1, min_width=1, strict=True)
        return _rgb(opened)
    longest = max(opened.size)
    shrink = DECODE_SIDE / longest if longest >= 2 * DECODE_SIDE else 0
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data,
        colorspace="RGB",
        min_height=int(opened.height * shrink),
        min_width=int(opened.width * shrink),
        strict=True,
    )
    return pixels


def _flatten(opened: PIL.Image.Image) -> NDArray[np.uint8]:
    opened.load()
    if opened.mode.startswith("I;16"):
        grey = (np.asarray(opened) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if opened.mode not in {"1", "L", "LA", "P", "PA", "RGB", "RGBA"}:
        raise ImageUndecodableError(f"pixels of mode {opened.mode} are not read")
    if opened.mode == "P":
        _check_palette(opened)
    if _is_transparent(opened):
        layer = opened.convert("RGBA")
        canvas = PIL.Image.new("RGBA", layer.size, (*_BACKGROUND, 255))
        return _rgb(PIL.Image.alpha_composite(canvas, layer))
    return _rgb(opened)


def _check_palette(opened: PIL.Image.Image) -> None:
    """Pillow makes black of indexes beyond the palette, and grey of a missing one."""
    colours = len(opened.palette.palette) // 3 if opened.palette else 0
    if int(np.asarray(opened).max()) >= colours:
        raise ImageUndecodableError(f"the image's palette has {colours} colours, too few")


def _rgb(opened: PIL.Image.Image) -> NDArray[np.uint8]:
    if PIL.ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ImageUndecodableError("this process lets truncated files through")
    return np.asarray(opened.convert("RGB"))


def _orientation(opened: PIL.Image.Image) -> int:
    try:
        value = opened.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # EXIF is a hint; broken EXIF must not cost the photo
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo the eight EXIF orientations (Exif 2.32, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
