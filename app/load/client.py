"""One keep-alive connection that sends requests made beforehand and reads no more than it must."""

import asyncio
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

import httptools


def request(
    url: str, path: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
) -> bytes:
    """A POST as it goes over the wire."""
    lines = {
        "host": urlsplit(url).netloc,
        "content-type": content_type,
        "content-length": str(len(body)),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def multipart(photos: Mapping[str, bytes]) -> tuple[bytes, str]:
    """A form with these photos, and its content type."""
    boundary = "norma-load"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + photo
        + b"\r\n"
        for name, photo in photos.items()
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


class Connection(asyncio.Protocol):
    """One exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None
        self._body = bytearray()
        self._keep = False
        self.open = False

    @classmethod
    async def to(cls, url: str) -> Self:
        """Raises OSError where nobody listens."""
        parts = urlsplit(url)
        _, connection = await asyncio.get_running_loop().create_connection(
            cls, parts.hostname or "127.0.0.1", parts.port or 80
        )
        return connection

    async def exchange(self, data: bytes) -> int:
        """The status of the answer, or 0 where the connection was lost before it was whole."""
        if self._transport is None or not self.open:
            return 0
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._answer

    async def fetch(self, data: bytes) -> tuple[int, bytes]:
        """The same with the answer's body."""
        self._keep = True
        self._body.clear()
        status = await self.exchange(data)
        self._keep = False
        return status, bytes(self._body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP connection's is one
        self._transport = transport
        self.open = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._settle(0)

    # What the parser calls

    def on_body(self, body: bytes) -> None:
        if self._keep:
            self._body += body

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        self._settle(self._parser.get_status_code())

    def _settle(self, status: int) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)
