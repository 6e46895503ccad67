"""Tar archives, plain or gzipped, one member at a time and only forward."""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, cast

from app.errors import ArchiveInvalidError, EntryRefusedError
from app.jobs.sources.members import Budget, Member, check_size

HEADER_BYTES = 1024 * 1024
"""The most that is read at once for headers: PAX and long names may claim any size."""
_END = bytes(tarfile.BLOCKSIZE)
DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, RecursionError, KeyError)


class _Guarded(io.RawIOBase):
    """A file for tarfile: no read of more than a header, and no more in all than the budget."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        self._file = file
        self._budget = budget
        self._furthest = 0
        self.last = b""
        """What was read last: zeroes at an archive's end."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET:
            raise tarfile.TarError("a tar archive is read forward")
        self._reach(offset)
        return self._file.seek(offset)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEADER_BYTES:
            raise tarfile.TarError("a header of this size")
        self._reach(self._file.tell() + size)
        self.last = self._file.read(size)
        return self.last

    def _reach(self, offset: int) -> None:
        """Spends before the bytes are unpacked: skipping a member unpacks it, too."""
        if offset > self._furthest:
            self._budget.take(offset - self._furthest)
            self._furthest = offset


class _Tar(tarfile.TarFile):
    """Declares what the type stubs leave out."""

    members: list[tarfile.TarInfo]


@dataclass(frozen=True, slots=True)
class OpenTar:
    """A tar archive, and the guard that it is read through."""

    archive: _Tar
    guard: _Guarded


def open_tar(file: IO[bytes], budget: Budget) -> OpenTar:
    """Raises ArchiveInvalidError."""
    try:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        guard = _Guarded(cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file, budget)
        return OpenTar(_Tar(fileobj=guard), guard)
    except DAMAGE as error:
        raise ArchiveInvalidError("this is not a sound tar archive") from error


def members(opened: OpenTar, most: int) -> Iterator[Member]:
    """In the order of the archive; folders are left out. Raises ArchiveInvalidError for damage and
    for more than `most` entries."""
    count = 0
    while (info := _next(opened)) is not None:
        count += 1
        if count > most:
            raise ArchiveInvalidError(f"the archive holds more than {most} entries")
        if not info.isdir():
            yield Member(info.name, partial(_read, opened.archive, info))
        opened.archive.members.clear()  # else all are kept


def _next(opened: OpenTar) -> tarfile.TarInfo | None:
    try:
        found = opened.archive.next()
    except DAMAGE as error:
        raise ArchiveInvalidError("the tar archive is damaged") from error
    if found is None and opened.guard.last != _END:
        raise ArchiveInvalidError("the tar archive ends before its end")
    return found


def _read(archive: tarfile.TarFile, info: tarfile.TarInfo, limit: int) -> bytes:
    if not info.isreg() or info.issparse():
        raise EntryRefusedError("the entry is a link, a device or sparse")
    check_size(info.size, limit)
    member = archive.extractfile(info)
    assert member is not None  # noqa: S101 - a regular file has contents
    parts = []
    try:
        while part := member.read(HEADER_BYTES):
            parts.append(part)
    except DAMAGE as error:
        raise ArchiveInvalidError("the tar archive is damaged") from error
    return b"".join(parts)
