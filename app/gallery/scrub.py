"""Overwrites what SQLite forgets in the gaps of its pages.

`secure_delete` zeroes a cell that is deleted, but not the old copies that remain when neighbours
are moved to another page (seen with SQLite 3.40: an erased face stayed legible after a
`wal_checkpoint(TRUNCATE)`). Such a copy lies between a page's cell pointers and its cell
content, in bytes that mean nothing to SQLite, so zeroing them there harms nothing, as long as the
page on disk is the current one: right after a complete checkpoint, with the writer at rest.

The file format: https://www.sqlite.org/fileformat2.html, sections 1.6 (b-tree pages) and 4.1
(WAL).
"""

import os
import struct
from collections.abc import Iterable
from pathlib import Path

_HEADER_BYTES = {0x02: 12, 0x05: 12, 0x0A: 8, 0x0D: 8}
"""B-tree page types, and the length of their headers. Other pages begin with a page number, whose
first byte is zero in files below 128 GB, or with zeros."""
_WAL_HEADER, _FRAME_HEADER = 32, 24


def pages_in_wal(wal: Path, page_size: int) -> set[int]:
    """Numbers of the pages that a write-ahead log holds, valid frames and leftovers."""
    if not wal.exists():
        return set()
    pages: set[int] = set()
    with wal.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for at in range(_WAL_HEADER, size - _FRAME_HEADER, _FRAME_HEADER + page_size):
            pages.add(int.from_bytes(os.pread(file.fileno(), 4, at), "big"))
    return pages


def all_pages(database: Path, page_size: int) -> range:
    return range(1, database.stat().st_size // page_size + 1)


def scrub(database: Path, pages: Iterable[int], page_size: int) -> int:
    """Zeroes the gaps of these pages, durably; how many were dirty."""
    dirty = 0
    descriptor = os.open(database, os.O_RDWR)
    try:
        for number in pages:
            start = (number - 1) * page_size
            gap = _gap(os.pread(descriptor, page_size, start), 100 if number == 1 else 0)
            if gap is not None:
                os.pwrite(descriptor, bytes(gap[1] - gap[0]), start + gap[0])
                dirty += 1
        if dirty:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return dirty


def _gap(page: bytes, header: int) -> tuple[int, int] | None:
    """The unused bytes between cell pointers and content, where any is not zero."""
    if len(page) <= header or page[header] not in _HEADER_BYTES:
        return None
    cells, content = struct.unpack_from(">HH", page, header + 3)
    begin = header + _HEADER_BYTES[page[header]] + 2 * cells
    end = content or 65536
    if not begin < end <= len(page) or not any(page[begin:end]):
        return None
    return begin, end
