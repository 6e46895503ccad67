"""Pictures without a face that can be seen (rows B21 and B22 of the catalogue)."""

import io

import numpy as np
import PIL.Image

from tests.hostile.corpus import Files, save


def b21_faceless(side: int = 320) -> Files:
    down, across = np.mgrid[0:side, 0:side]
    noise = np.random.default_rng(21).integers(0, 256, (side, side))
    grey = {"black": across * 0, "white": across * 0 + 255, "noise": noise}
    grey |= {
        "checkerboard": (down // 16 + across // 16) % 2 * 255,
        "gradient": across * 255 // side,
    }
    return {
        name: save(np.dstack([values] * 3).astype(np.uint8), "PNG") for name, values in grey.items()
    }


def b22_hidden(face: bytes) -> bytes:
    """A PNG whose colours show `face` and whose alpha hides all of it."""
    with PIL.Image.open(io.BytesIO(face)) as opened:
        hidden = opened.convert("RGBA")
    hidden.putalpha(0)
    return save(hidden, "PNG")
