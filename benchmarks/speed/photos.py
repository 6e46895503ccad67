"""Real photos, from wheels that the tests use anyway."""

import io
from pathlib import Path

import insightface
import skimage
from PIL import Image


def photos() -> list[bytes]:
    """A portrait and another one at 640×640, and a group of six at 1280×886, as JPEGs."""
    pack = Path(insightface.__file__).parent / "data" / "images"
    samples = Path(skimage.__file__).parent / "data"
    return [
        _jpeg(pack / "Tom_Hanks_54745.png", (640, 640)),
        _jpeg(samples / "astronaut.png", (640, 640)),
        (pack / "t1.jpg").read_bytes(),
    ]


def _jpeg(path: Path, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.open(path).convert("RGB").resize(size).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
