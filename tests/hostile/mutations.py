"""Small image files, damaged at random (row B32 of the catalogue)."""

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import PIL.Image

from tests.hostile import corpus


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """`count` damaged JPEG, PNG and WebP files, small ones, in turns."""
    random = np.random.default_rng(seed)
    wholes = _fuzzed()
    for number in range(count):
        yield damage(wholes[number % len(wholes)], random)


def damage(whole: bytes, random: np.random.Generator) -> bytes:
    """One to three wounds, somewhere."""
    data = bytearray(whole)
    for _ in range(random.integers(1, 4)):
        _MUTATIONS[random.integers(len(_MUTATIONS))](data, random)
    return bytes(data)


def _fuzzed() -> list[bytes]:
    pixels = corpus.photo(64, 48)
    alpha = PIL.Image.fromarray(pixels).convert("RGBA")
    alpha.putalpha(128)
    return [
        corpus.with_exif(corpus.jpeg(pixels), corpus.exif(6)),
        corpus.save(pixels, "PNG", exif=corpus.exif(3)),
        corpus.save(pixels, "WEBP", exif=corpus.exif(8)),
        corpus.jpeg(pixels, progressive=True),
        corpus.save(PIL.Image.fromarray(pixels).quantize(16), "PNG", transparency=3),
        corpus.save(alpha, "WEBP", lossless=True),
        corpus.save(PIL.Image.fromarray(pixels).convert("CMYK"), "JPEG"),
        corpus.b14_animations()["APNG"],
    ]


def _flip(data: bytearray, random: np.random.Generator) -> None:
    data[random.integers(len(data))] ^= 1 << int(random.integers(8))


def _overwrite(data: bytearray, random: np.random.Generator) -> None:
    at = int(random.integers(len(data)))
    length = int(random.integers(1, 5))
    data[at : at + length] = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"][
        random.integers(3)
    ][:length]


def _cut(data: bytearray, random: np.random.Generator) -> None:
    at = int(random.integers(16, len(data))) if len(data) > 16 else 0
    del data[at : at + int(random.integers(1, 64))]


def _double(data: bytearray, random: np.random.Generator) -> None:
    at = int(random.integers(len(data)))
    data[at:at] = data[at : at + int(random.integers(1, 64))]


def _header(data: bytearray, random: np.random.Generator) -> None:
    """Damage where the structure is, and mend the PNG checksum so that the damage gets through."""
    at = int(random.integers(8, min(64, len(data))))
    data[at] = int(random.integers(256))
    if data[:8] == corpus.PNG_MAGIC:
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))


_MUTATIONS: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    _flip,
    _overwrite,
    _cut,
    _double,
    _header,
)
