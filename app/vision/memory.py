"""Memory for decoding, shared out before any of it is taken.

A WebP of 34 bytes may hold 16 megapixels, which decode into more than half a gigabyte; a limit on
images at work does not bound that, one on bytes does.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from app.domain import ImageFormat
from app.errors import DecodeBusyError

_PEAK_BYTES: dict[tuple[ImageFormat, bool], int] = {
    ("jpeg", False): 16,
    ("png", False): 16,
    ("png", True): 28,
    ("webp", False): 24,
    ("webp", True): 36,
}
"""Bytes a pixel at the peak of decoding, by format and transparency: measured, rounded up."""


class DecodeMemory:
    """At most `limit` bytes for all images being decoded at once; safe from many threads."""

    def __init__(self, limit: int = sys.maxsize) -> None:
        self._limit = limit
        self._held = 0
        self._lock = Lock()

    @property
    def held(self) -> int:
        """Bytes reserved now."""
        return self._held

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Hold `size` bytes. What is beyond the limit by itself is decoded alone.

        Raises DecodeBusyError at once where others leave too little.
        """
        with self._lock:
            if self._held and self._held + size > self._limit:
                raise DecodeBusyError("other images take all memory for decoding; try again")
            self._held += size
        try:
            yield
        finally:
            with self._lock:
                self._held -= size


def peak_bytes(kind: ImageFormat, pixels: int, *, transparent: bool) -> int:
    """What decoding an image of so many pixels takes at most."""
    return _PEAK_BYTES[kind, transparent] * pixels
