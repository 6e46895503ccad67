"""The same answers as MessagePack, for callers that ask for it: no text to parse, bytes as bytes.

Errors stay JSON. Where a feature is asked for in base64, MessagePack carries the bytes themselves.
"""

import base64
from typing import Any

import msgpack
import orjson
from starlette.requests import Request
from starlette.responses import Response

MSGPACK = "application/msgpack"

PACKED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            MSGPACK: {
                "schema": {"type": "string", "format": "binary"},
            }
        }
    }
}
"""`responses` entry of a route that answers in either form."""


def offered(responses: dict[int | str, dict[str, Any]]) -> bool:
    """Whether a route with these `responses` says that it answers in MessagePack."""
    return MSGPACK in responses.get(200, {}).get("content", {})


def wanted(accept: str) -> bool:
    """Whether the Accept header names MessagePack, and prefers no JSON (RFC 9110, 12.5.1)."""
    qualities = dict(_quality(one) for one in accept.split(","))
    packed = qualities.get(MSGPACK, 0.0)
    return packed > 0 and packed >= qualities.get("application/json", 0.0)


def packed(request: Request, answer: Response) -> Response:
    """The answer in the form that the request accepts."""
    answer.headers["vary"] = "accept"
    if answer.status_code != 200 or not wanted(request.headers.get("accept", "")):
        return answer
    body = orjson.loads(bytes(answer.body))  # our own
    if request.query_params.get("encoding", "json") != "json":
        body = _with_bytes(body)
    return Response(msgpack.packb(body), media_type=MSGPACK, headers={"vary": "accept"})


def _quality(one: str) -> tuple[str, float]:
    kind, *parameters = (part.strip() for part in one.lower().split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return kind, float(parameter[2:])
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def _with_bytes(found: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(found, list):
        return [_with_bytes(one) for one in found]
    if not isinstance(found, dict):
        return found
    return {
        name: base64.b64decode(value)
        if name == "feature" and isinstance(value, str)
        else _with_bytes(value)
        for name, value in found.items()
    }
