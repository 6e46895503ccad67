"""What a job works on, kept for it on disk: encrypted, so that no photo is ever legible there.

A spool file is a row of chunks, each sealed by AES-256-GCM under the job's own key, with its place
as the nonce and, as associated data, whether it is the last. The key lies in the job's row and goes
when the job ends; what a disk still holds of the file is then noise.
"""

import io
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import ArchiveInvalidError
from app.gallery.files import sync_directory

CHUNK = 256 * 1024
_TAG = 16


class SpoolWriter:
    """Takes bytes of any length, in order. The file is whole after `finish`, or gone."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.secret = secrets.token_bytes(32)
        self.size = 0
        self._path = path
        self._file = path.open("xb")
        self._aead = AESGCM(self.secret)
        self._pending = bytearray()
        self._chunks = 0

    def write(self, data: bytes) -> None:
        """Raises OSError where the disk is full."""
        self.size += len(data)
        self._pending += data
        while len(self._pending) > CHUNK:
            self._seal(bytes(self._pending[:CHUNK]), last=False)
            del self._pending[:CHUNK]

    def finish(self) -> None:
        """Durable on return."""
        self._seal(bytes(self._pending), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        sync_directory(self._path.parent)

    def reopened(self) -> io.BufferedReader:
        return io.BufferedReader(SpoolReader(self._path, self.secret), CHUNK)

    @property
    def uid(self) -> str:
        """The job's that it is for."""
        return self._path.name

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._aead.encrypt(_nonce(self._chunks), chunk, _about(last)))
        self._chunks += 1


class SpoolReader(io.RawIOBase):
    """The bytes again, seekable; one chunk is held at a time.

    Raises ArchiveInvalidError where the file is gone, damaged, cut short, or another job's.
    """

    def __init__(self, path: Path, secret: bytes) -> None:
        try:
            self._file = path.open("rb")
            sealed = path.stat().st_size
        except OSError as error:
            raise ArchiveInvalidError("what was uploaded is not there any more") from error
        self._aead = AESGCM(secret)
        self._count = max(1, -(-sealed // (CHUNK + _TAG)))
        self._size = sealed - self._count * _TAG
        self._position = 0
        self._held: tuple[int, bytes] = (-1, b"")
        self._chunk(self._count - 1)  # a file cut short has no last chunk

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a seek before the beginning")
        self._position = start + offset
        return self._position

    def readinto(self, into: "memoryview") -> int:  # type: ignore[override]
        if self._position >= self._size:
            return 0
        chunk = self._chunk(self._position // CHUNK)
        start = self._position % CHUNK
        part = chunk[start : start + len(into)]
        into[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _chunk(self, number: int) -> bytes:
        if self._held[0] != number:
            self._file.seek(number * (CHUNK + _TAG))
            sealed = self._file.read(CHUNK + _TAG)
            try:
                opened = self._aead.decrypt(
                    _nonce(number), sealed, _about(number == self._count - 1)
                )
            except (InvalidTag, ValueError) as error:
                raise ArchiveInvalidError("what was uploaded is damaged on disk") from error
            self._held = (number, opened)
        return self._held[1]


class Spools:
    """The spool files of one data directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(self, uid: str) -> SpoolWriter:
        return SpoolWriter(self._directory / uid)

    def open(self, uid: str, secret: bytes) -> io.BufferedReader:
        return io.BufferedReader(SpoolReader(self._directory / uid, secret), CHUNK)

    def remove(self, uid: str) -> None:
        (self._directory / uid).unlink(missing_ok=True)

    def keep(self, uids: Iterable[str]) -> None:
        """Removes every file but those of the jobs `uids`: what a crash left behind."""
        if not self._directory.is_dir():
            return
        wanted = set(uids)
        for path in self._directory.iterdir():
            if path.name not in wanted:
                path.unlink()


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _about(last: bool) -> bytes:
    return b"norma spool, last" if last else b"norma spool"
