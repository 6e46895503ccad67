"""The log's files: lines appended under a lock, so that a command and the service can share them.

audit-NNNNNNNNNNNN.jsonl   entries, named for the number of their first
mark                       how far the log was durable when this was written
secret                     what the MACs are made with
lock                       held while lines are appended
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import StartError
from app.gallery.files import sync_directory
from app.security.audit import secret
from app.security.audit.chain import FIRST, Chain, Entry, EntryError
from app.security.audit.event import Event, Head, Origin
from app.security.keysource import KeySource

MAX_BYTES = 64 * 1024 * 1024
"""Length of a file from which the next lines begin another."""
_TAIL = 64 * 1024
"""More than any line has."""
_START = Head(0, FIRST, None)
Pending = tuple[Event, int, Origin]
"""What happened, when (milliseconds since the epoch), and from where."""


class AuditFiles:
    """One directory of the log, for one thread of this process and any other process."""

    def __init__(self, directory: Path, source: KeySource, max_bytes: int = MAX_BYTES) -> None:
        """Raises StartError where the log cannot be gone on with: its secret is missing, or its
        last line is not its own."""
        self._directory = directory
        self._max_bytes = max_bytes
        self._path = directory / _name(1)
        self._size = 0
        self._head = _START
        self._seen: tuple[Path, int] | None = None
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                self.chain = Chain(self._secret(source))
                self._follow()
                self._look_for_a_cut()
        except OSError as error:
            raise StartError(f"the audit log {directory} cannot be used: {error}") from error

    def append(self, pending: list[Pending], *, sync: bool) -> list[Head]:
        """Writes all or raises OSError; what a failed attempt left is cut off by the next."""
        with self._locked():
            self._follow()
            if self._size >= self._max_bytes:
                self._begin_file()
            heads, text = self._lines(pending)
            self._write(text)
            self._head = heads[-1] if heads else self._head
            if sync:
                self._sync()
        return heads

    def sync(self) -> None:
        """Makes durable what has been appended."""
        with self._locked():
            self._sync()

    def _lines(self, pending: list[Pending]) -> tuple[list[Head], bytes]:
        heads: list[Head] = []
        lines: list[str] = []
        last = self._head
        for event, at, origin in pending:
            line, last = self.chain.line(event, at, origin, last.seq + 1, last.mac)
            lines.append(line)
            heads.append(last)
        return heads, "".join(lines).encode()

    def _write(self, text: bytes) -> None:
        with self._path.open("ab", buffering=0) as file:
            written = file.write(text)
            if written != len(text):
                file.truncate(self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(text)
        self._seen = (self._path, self._size)

    def _sync(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        descriptor = os.open(self._directory / "mark", os.O_WRONLY | os.O_CREAT, 0o600)
        try:  # over the old one, which was no longer: a crash leaves one of the two
            os.pwrite(descriptor, self.chain.mark(self._head).encode(), 0)
        finally:
            os.close(descriptor)

    def _follow(self) -> None:
        """Catches up with what another process has appended, or a crash has left half written."""
        paths = files(self._directory)
        self._path = paths[-1] if paths else self._directory / _name(1)
        size = self._path.stat().st_size if paths else 0
        if (self._path, size) == self._seen:
            return
        self._seen, self._head, self._size = None, _START, size
        torn = b""
        for path in reversed(paths):
            last, torn_here = _last_line(path)
            torn = torn or torn_here
            if last is not None:
                self._head = self._own(path, last).head
                break
        if torn:
            self._cut(len(torn))
        self._seen = (self._path, self._size)

    def _own(self, path: Path, line: bytes) -> Entry:
        try:
            return self.chain.read(line)
        except EntryError as error:
            raise StartError(
                f"the last line of {path} {error}: `norma audit verify` tells more; move the "
                "directory away to begin a new log"
            ) from error

    def _cut(self, torn: int) -> None:
        """Nobody was told that a torn line had been written."""
        os.truncate(self._path, self._size - torn)
        self._size -= torn

    def _begin_file(self) -> None:
        self._sync()
        self._path = self._directory / _name(self._head.seq + 1)
        self._path.touch(mode=0o600)
        self._size = 0
        sync_directory(self._directory)

    def _look_for_a_cut(self) -> None:
        """Where the mark says that there was more, the log says so for ever."""
        marked = self._marked()
        if marked is None or marked.seq <= self._head.seq:
            return
        event = Event("audit.cut", "", details={"marked": marked.seq})
        [head], text = self._lines([(event, now(), Origin())])
        self._write(text)
        self._head = head

    def _marked(self) -> Head | None:
        try:
            return self.chain.marked((self._directory / "mark").read_text())
        except (OSError, UnicodeDecodeError, EntryError):
            return None

    def _secret(self, source: KeySource) -> bytes:
        path = self._directory / "secret"
        if path.exists() or files(self._directory):
            return secret.read(path, source)
        return secret.create(path, source)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def files(directory: Path) -> list[Path]:
    """The log's files, the oldest first."""
    return sorted(directory.glob("audit-*.jsonl"))


def _name(first: int) -> str:
    return f"audit-{first:012}.jsonl"


def _last_line(path: Path) -> tuple[bytes | None, bytes]:
    """The last whole line, None where there is none, and what stands behind it."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    whole, end, torn = tail.rpartition(b"\n")
    return (whole[whole.rfind(b"\n") + 1 :] + end if end else None), torn


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
