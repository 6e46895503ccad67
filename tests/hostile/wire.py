"""Bytes onto a socket and what comes back: HTTP as an attacker writes it."""

import json
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PATIENCE = 5.0
"""Seconds within which every exchange must have come to an end."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server sent, and whether it closed the connection then."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """One for each response, in order; a 100 Continue too."""
        return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.data)]

    @property
    def code(self) -> str | None:
        """The error's code, of a single JSON answer."""
        _, _, body = self.data.partition(b"\r\n\r\n")
        found: dict[str, Any] = json.loads(body)
        return str(found["error"]["code"]) if "error" in found else None


@dataclass(frozen=True, slots=True)
class Server:
    """Where a service listens."""

    port: int

    def connect(self) -> socket.socket:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return raw

    def say(self, *parts: bytes, pause: float = 0.0, answers: int | None = None) -> Reply:
        """Send the parts one after the other, then listen as `listen` does."""
        with self.connect() as raw:
            try:
                for part in parts:
                    raw.sendall(part)
                    time.sleep(pause)
            except OSError:
                pass  # the server has closed already; what it said is there to be read
            return listen(raw, answers)


def listen(raw: socket.socket, answers: int | None = None) -> Reply:
    """All that arrives until the server closes, or has given so many answers and is silent.

    Fails where neither has happened within `PATIENCE`.
    """
    received, end = bytearray(), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        raw.settimeout(0.05 if _complete(received) == answers else 0.5)
        try:
            part = raw.recv(65536)
        except TimeoutError:
            if _complete(received) == answers:
                return Reply(bytes(received), closed=False)
            continue
        except ConnectionError:
            return Reply(bytes(received), closed=True)
        if not part:
            return Reply(bytes(received), closed=True)
        received += part
    raise AssertionError(
        f"neither an end nor silence after {PATIENCE} s: {bytes(received[:200])!r}"
    )


def _complete(received: bytes) -> int:
    """How many whole answers these bytes are; an unfinished one does not count."""
    count, rest = 0, bytes(received)
    while True:
        head, gap, rest = rest.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        length = int(found[1]) if found else 0
        if not gap or len(rest) < length:
            return count
        count, rest = count + 1, rest[length:]


def request(
    method: str, target: str, *fields: str, body: bytes = b"", host: str = "localhost"
) -> bytes:
    """One HTTP/1.1 request."""
    lines = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host else []), *fields]
    if body and not any(f.lower().startswith(("content-length", "transfer-enc")) for f in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(parts: Iterable[bytes]) -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
