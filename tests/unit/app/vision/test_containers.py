"""The walk over a file's parts: what it tells the decoder, and its bounds."""

import struct

import pytest

from app.errors import ImageUndecodableError
from app.vision.containers import MAX_PARTS, MAX_SCANS, check_png, jpeg_structure
from tests.hostile import corpus

SEGMENT = b"\xff\xfe\x00\x02"


def frame(kind: int, *components: int) -> bytes:
    body = b"".join(bytes([name, 0x11, 0]) for name in components)
    head = struct.pack(">BHHB", 8, 16, 16, len(components))
    return bytes([0xFF, kind]) + struct.pack(">H", len(head + body) + 2) + head + body


def scan(*components: int, first: int = 0, last: int = 63, bits: int = 0) -> bytes:
    names = b"".join(bytes([name, 0]) for name in components)
    body = bytes([len(components)]) + names + bytes([first, last, bits])
    return b"\xff\xda" + struct.pack(">H", len(body) + 2) + body + b"\x12\x34\xff\x00\x56"


def jpeg(*parts: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xd9"


def test_a_baseline_jpeg_has_one_scan_and_need_not_be_held() -> None:
    found = jpeg_structure(corpus.jpeg())
    assert (found.scans, found.whole) == (1, False)


def test_a_progressive_jpeg_is_held_whole() -> None:
    found = jpeg_structure(corpus.jpeg(progressive=True))
    assert found.scans > 5
    assert found.whole


def test_colours_in_scans_of_their_own_are_held_whole() -> None:
    parts = [frame(0xC0, 1, 2, 3), scan(1), scan(2), scan(3)]
    assert jpeg_structure(jpeg(*parts)).whole
    assert not jpeg_structure(jpeg(parts[0], scan(1, 2, 3))).whole


def test_a_missing_colour_is_a_missing_scan() -> None:
    with pytest.raises(ImageUndecodableError, match="last scan"):
        jpeg_structure(jpeg(frame(0xC0, 1, 2, 3), scan(1), scan(3)))


STEPS = [
    scan(1, last=0, bits=0x01),
    scan(1, first=1, last=5, bits=0x00),
    scan(1, first=6, last=63, bits=0x02),
    scan(1, first=6, last=63, bits=0x21),
    scan(1, first=6, last=63, bits=0x10),
    scan(1, last=0, bits=0x10),
]


def test_every_bit_of_every_coefficient_is_due() -> None:
    assert jpeg_structure(jpeg(frame(0xC2, 1), *STEPS)).scans == 6
    for length in range(len(STEPS)):
        with pytest.raises(ImageUndecodableError, match="last scan"):
            jpeg_structure(jpeg(frame(0xC2, 1), *STEPS[:length]))


def test_scans_and_segments_are_counted() -> None:
    sound = jpeg(frame(0xC0, 1), *[scan(1)] * MAX_SCANS)
    assert jpeg_structure(sound).scans == MAX_SCANS
    with pytest.raises(ImageUndecodableError, match="scans"):
        jpeg_structure(jpeg(frame(0xC0, 1), *[scan(1)] * (MAX_SCANS + 1)))
    with pytest.raises(ImageUndecodableError, match="segments"):
        jpeg_structure(jpeg(SEGMENT * MAX_PARTS, frame(0xC0, 1), scan(1)))


@pytest.mark.parametrize(
    "part",
    [
        b"\xff\xfe\x00\x01",
        b"\xff\xfe\xff\xff",
        b"\xff\xda\x00\x03\x01",
        b"\xff\xc0\x00\x05abc",
        b"x",
    ],
)
def test_a_broken_segment_is_ours_to_refuse(part: bytes) -> None:
    with pytest.raises(ImageUndecodableError):
        jpeg_structure(jpeg(part))


def test_png_chunks_are_counted() -> None:
    end = corpus.chunk(b"IEND", b"")
    check_png(corpus.PNG_MAGIC + corpus.chunk(b"teXt", b"") * (MAX_PARTS - 1) + end)
    with pytest.raises(ImageUndecodableError, match="chunks"):
        check_png(corpus.PNG_MAGIC + corpus.chunk(b"teXt", b"") * MAX_PARTS + end)
