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
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def say(self, *parts: bytes, pause: float = 0.0, quiet: float = 0.6) -> Reply:
        """Send the parts one after the other, then listen until the server closes or is `quiet`.

        Fails where the server neither closes nor falls silent within `PATIENCE`.
        """
        with self.connect() as raw:
            try:
                for part in parts:
                    raw.sendall(part)
                    time.sleep(pause)
            except OSError:
                pass  # the server has closed already; what it said is there to be read
            return listen(raw, quiet)


def listen(raw: socket.socket, quiet: float) -> Reply:
    """All that arrives until the other side closes or is silent for `quiet` seconds."""
    received, end = bytearray(), time.monotonic() + PATIENCE
    raw.settimeout(quiet)
    while time.monotonic() < end:
        try:
            part = raw.recv(65536)
        except TimeoutError:
            if received:
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


def request(method: str, target: str, *fields: str, body: bytes = b"", host: str = "h") -> bytes:
    """One HTTP/1.1 request."""
    lines = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host else []), *fields]
    if body and not any(f.lower().startswith(("content-length", "transfer-enc")) for f in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(parts: Iterable[bytes]) -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
