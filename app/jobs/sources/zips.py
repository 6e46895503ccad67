"""ZIP archives, one member at a time, from a seekable file."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Container, Iterator
from functools import partial
from typing import IO

from app.errors import ArchiveInvalidError, EntryRefusedError
from app.jobs.sources.members import Budget, Member, check_size

_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY = b"PK\x01\x02"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, ValueError)


def open_zip(file: IO[bytes], most: int) -> zipfile.ZipFile:
    """Raises ArchiveInvalidError for damage, and for more than `most` entries, before memory is
    spent on them."""
    try:
        counted = _count(file, most)
        archive = zipfile.ZipFile(file)
    except (*DAMAGE, OSError) as error:
        raise ArchiveInvalidError("this is not a sound ZIP archive") from error
    if len(archive.infolist()) > counted:
        raise ArchiveInvalidError("the ZIP archive's directory contradicts itself")
    return archive


def members(archive: zipfile.ZipFile, budget: Budget, first: Container[str]) -> Iterator[Member]:
    """In the order of the archive's directory, but those called `first` first; no folders."""
    for info in sorted(archive.infolist(), key=lambda info: info.filename not in first):
        if not info.is_dir():
            yield Member(info.filename, partial(_read, archive, info, budget))


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, limit: int) -> bytes:
    mode = info.external_attr >> 16
    if info.flag_bits & 0x1:
        raise EntryRefusedError("the entry is encrypted")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise EntryRefusedError("the entry is a link or a device")
    if info.compress_type not in _METHODS:
        raise EntryRefusedError("the entry is compressed by another method than deflate")
    check_size(info.file_size, limit)
    try:
        with archive.open(info) as member:
            return budget.spend(member.read(limit + 1), limit)
    except (*DAMAGE, RuntimeError) as error:
        raise EntryRefusedError("the entry is damaged") from error


def _count(file: IO[bytes], most: int) -> int:
    """Entries in the archive's directory, found by walking it without keeping any."""
    start, end = _directory(file)
    count, at = 0, start
    while at < end:
        file.seek(at)
        head = file.read(46)
        if head[:4] != _ENTRY:
            raise zipfile.BadZipFile("no entry where one is due")
        at += 46 + sum(struct.unpack("<3H", head[28:34]))
        count += 1
        if count > most:
            raise ArchiveInvalidError(f"the archive holds more than {most} entries")
    return count


def _directory(file: IO[bytes]) -> tuple[int, int]:
    """Where the archive's directory begins and ends in the file."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557))
    tail = file.read()
    found = tail.rfind(_END)
    if found < 0 or len(tail) - found < 22:
        raise zipfile.BadZipFile("no end record")
    end = size - len(tail) + found
    length = struct.unpack("<I", tail[found + 12 : found + 16])[0]
    if end >= 20:
        file.seek(end - 20)
        if file.read(4) == _LOCATOR:
            end, length = _directory64(file, end - 20)
    if length > end:
        raise zipfile.BadZipFile("a directory longer than the file")
    return end - length, end


def _directory64(file: IO[bytes], locator: int) -> tuple[int, int]:
    file.seek(locator - 56)
    record = file.read(56)
    if record[:4] != _END64:
        raise zipfile.BadZipFile("no ZIP64 end record before its locator")
    return locator - 56, struct.unpack("<Q", record[40:48])[0]
