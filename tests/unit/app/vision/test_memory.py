"""Memory is reserved before a decoder takes it, and given back whatever happens."""

from dataclasses import replace

import PIL.Image
import pytest

from app.errors import DecodeBusyError, ImageUndecodableError
from app.vision.decode import decode
from app.vision.limits import ImageLimits
from app.vision.memory import DecodeMemory
from tests.hostile import corpus

LIMITS = ImageLimits(10**7, 16_000_000, 64_000_000, 12_000, 16, 20)


def holding(kind: str, mode: str = "RGB", **options: object) -> tuple[bytes, ImageLimits]:
    """A picture of 200×100, and limits with room for some 20 bytes a pixel of it."""
    picture = PIL.Image.fromarray(corpus.photo(200, 100)).convert(mode)
    return corpus.save(picture, kind, **options), replace(LIMITS, memory=DecodeMemory(20 * 20_000))


@pytest.mark.parametrize(
    ("kind", "mode", "fits"),
    [
        ("JPEG", "RGB", True),
        ("JPEG", "CMYK", True),
        ("PNG", "RGB", True),
        ("PNG", "P", True),
        ("PNG", "RGBA", False),
        ("PNG", "LA", False),
        ("WEBP", "RGB", False),
        ("WEBP", "RGBA", False),
    ],
)
def test_what_others_leave_decides(kind: str, mode: str, fits: bool) -> None:
    data, limits = holding(kind, mode)
    with limits.memory.reserve(1):
        if fits:
            decode(data, limits)
        else:
            with pytest.raises(DecodeBusyError):
                decode(data, limits)
    assert limits.memory.held == 0


def test_an_image_beyond_the_limit_is_decoded_alone() -> None:
    data, limits = holding("WEBP")
    assert decode(data, limits).width == 200


def test_a_jpeg_that_is_decoded_small_takes_little() -> None:
    data = corpus.flat(8000, 7000, "JPEG")
    limits = replace(LIMITS, memory=DecodeMemory(16 * 2560 * 2560 + 1))
    with limits.memory.reserve(1):
        assert decode(data, limits).width == 8000


def test_a_damaged_image_gives_back_what_it_held() -> None:
    data, limits = holding("WEBP")
    with pytest.raises(ImageUndecodableError):
        decode(data[:-40], limits)
    assert limits.memory.held == 0
