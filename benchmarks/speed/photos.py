"""Real photos, from wheels that the tests use anyway."""

import io
from pathlib import Path

import insightface
import skimage
from PIL import Image


def photos() -> list[bytes]:
    """Two portraits at 640×640 and a group of six at 1280×886, as JPEGs.

    The first is a close-up that fills its frame, where insightface finds nobody at 640 pixels, so
    it is shown smaller, on grey.
    """
    pack = Path(insightface.__file__).parent / "data" / "images"
    samples = Path(skimage.__file__).parent / "data"
    portrait = Image.new("RGB", (640, 640), (128, 128, 128))
    portrait.paste(_open(pack / "Tom_Hanks_54745.png").resize((320, 320)), (160, 160))
    return [
        _jpeg(portrait),
        _jpeg(_open(samples / "astronaut.png").resize((640, 640))),
        (pack / "t1.jpg").read_bytes(),
    ]


def _open(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
