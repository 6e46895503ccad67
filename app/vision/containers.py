"""The outer structure of a file, walked before any decoder opens it.

Decoders forgive damage, or spend time out of proportion to the file: a second for every megabyte
of empty comments. Here a file is refused for a bad checksum, a missing end or too many parts.
What follows the end is ignored: phones append videos and gain maps there.
"""

import re
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from app.errors import ImageUndecodableError

MAX_PARTS = 10_000
"""JPEG segments or PNG chunks; an encoder writes one for every 8 KiB at most."""

MAX_SCANS = 100
"""Progressive JPEGs with more scans cost decoding time out of proportion; encoders write ~10."""

_MARKER = re.compile(rb"\xff{1,64}([\x02-\xcf\xd9-\xfe])")
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# C0 to CF are frame headers, but for Huffman tables, an extension and arithmetic conditioning.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_COEFFICIENTS, _ALL_BITS = 64, 16


@dataclass(frozen=True, slots=True)
class JpegStructure:
    """`whole` says that decoding holds all coefficients, at any scale: progressive images, and
    those whose colours lie in scans of their own."""

    scans: int
    whole: bool


def jpeg_structure(data: bytes) -> JpegStructure:
    """Walk a JPEG's segments (ITU-T T.81, annex B) to its end.

    Raises ImageUndecodableError.
    """
    at, scans, components, whole = 2, 0, b"", False
    missing = np.empty((0, _COEFFICIENTS), dtype=np.uint8)
    for _ in range(MAX_PARTS):
        marker, payload, at = _segment(data, at)
        if marker == _END_OF_IMAGE:
            if missing.any():
                raise ImageUndecodableError("the JPEG ends before its last scan")
            return JpegStructure(scans, whole)
        if marker in _FRAMES:
            if components or len(payload) < 9:
                raise ImageUndecodableError("the JPEG has a broken or a second frame header")
            components, whole = payload[6 : 6 + 3 * payload[5] : 3], marker in _PROGRESSIVE
            missing = np.full((len(components), _COEFFICIENTS), _ALL_BITS, dtype=np.uint8)
        if marker == _START_OF_SCAN:
            scans, whole = scans + 1, whole or payload[:1] < bytes([len(components)])
            if scans > MAX_SCANS:
                raise ImageUndecodableError(f"the JPEG holds more than {MAX_SCANS} scans")
            _note_scan(missing, components, payload)
            at = _scan_end(data, at)
    raise ImageUndecodableError(f"the JPEG has more than {MAX_PARTS} segments")


def _note_scan(missing: NDArray[np.uint8], components: bytes, payload: bytes) -> None:
    """Keep for each component's coefficients how many of their low bits no scan has brought yet.

    No decoder looks: of a progressive JPEG cut between two scans it makes a blurred picture.
    """
    if len(payload) < 6:
        raise ImageUndecodableError("the JPEG has a broken scan header")
    first, last, bits = payload[-3:]
    rows = [components.find(name) for name in payload[1:-3:2]]
    missing[[row for row in rows if row >= 0], first : last + 1] = bits & 0xF


def _segment(data: bytes, at: int) -> tuple[int, bytes, int]:
    """The marker at `at`, its payload and where the next one is due."""
    found = _MARKER.match(data, at)
    if found is None:
        raise ImageUndecodableError("the JPEG is truncated or damaged between its segments")
    marker, at = found[1][0], found.end()
    if marker == _END_OF_IMAGE:
        return marker, b"", at
    length = int.from_bytes(data[at : at + 2])
    if length < 2 or at + length > len(data):
        raise ImageUndecodableError("the JPEG has a segment of an impossible length")
    return marker, data[at + 2 : at + length], at + length


def _scan_end(data: bytes, at: int) -> int:
    found = _SCAN_END.search(data, at)
    if found is None:
        raise ImageUndecodableError("the JPEG is truncated")
    return found.start()


def check_png(data: bytes) -> None:
    """Walk a PNG's chunks to its end, checking every checksum (PNG, third edition, 5.3).

    Raises ImageUndecodableError.
    """
    view, at = memoryview(data), 8
    for _ in range(MAX_PARTS):
        length, kind = int.from_bytes(view[at : at + 4]), bytes(view[at + 4 : at + 8])
        end = at + 8 + length
        if end + 4 > len(view):
            raise ImageUndecodableError("the PNG is truncated")
        if crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise ImageUndecodableError("the PNG is damaged: a checksum does not match")
        if kind == b"IEND":
            return
        at = end + 4
    raise ImageUndecodableError(f"the PNG has more than {MAX_PARTS} chunks")
