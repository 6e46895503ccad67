"""What a request's head may say: RFC 9112 where parsers are lenient, and nothing twice."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import orjson

_HOST = re.compile(rb"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(:[0-9]{0,5})?$")
_ONCE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"transfer-encoding",
        b"x-api-key",
        b"x-request-id",
    }
)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer given before there is a request."""

    status: int
    code: str
    message: str

    def response(self) -> bytes:
        """The whole response, in the shape of all errors; the connection is closed behind it."""
        error = {"code": self.code, "message": self.message}
        body = orjson.dumps({"error": error, "request_id": None})
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "cache-control: no-store",
            *(["retry-after: 1"] if self.status == HTTPStatus.SERVICE_UNAVAILABLE else []),
            "connection: close",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


def malformed(message: str) -> Refusal:
    """The refusal of what is not, or not plainly, HTTP/1.1."""
    return Refusal(400, "request_malformed", message)


def check_field(name: bytes, value: bytes) -> Refusal | None:
    """What is wrong with one header field, if anything."""
    if _CONTROL.search(value):
        return malformed("a header holds control characters")
    name = name.lower()
    if name == b"content-length" and not (value.isdigit() and len(value) <= 18):
        return malformed("Content-Length is a decimal number")
    if name == b"transfer-encoding" and value.lower() != b"chunked":
        return malformed("the only Transfer-Encoding is chunked")
    if name == b"expect" and value.lower() != b"100-continue":
        return Refusal(417, "expectation_failed", "the only expectation is 100-continue")
    return None


def check_head(version: str, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
    """What is wrong with a whole head, if anything; names are lower case."""
    names = [name for name, _ in headers]
    if any(names.count(name) > 1 for name in _ONCE.intersection(names)):
        return malformed("a header is given twice")
    if b"content-length" in names and b"transfer-encoding" in names:
        return malformed("Content-Length and Transfer-Encoding exclude each other")
    if version not in ("1.0", "1.1"):
        return malformed("this is not HTTP/1.1")
    host = dict(headers).get(b"host")
    if host is None and version == "1.1":
        return malformed("the Host header is missing")
    if host is not None and not _HOST.match(host):
        return malformed("the Host header is malformed")
    return None


def announces_body(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a body follows that is not empty."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and int(value) > 0)
        for name, value in headers
    )
