"""MessagePack where it is preferred: the same answer, features as bytes."""

import base64

import msgpack
import orjson
import pytest
from starlette.requests import Request
from starlette.responses import Response

from app.http.packed import MSGPACK, PACKED, offered, packed, wanted

FEATURE = bytes(range(8))
BODY = {"items": [{"name": "a", "result": {"feature": base64.b64encode(FEATURE).decode()}}]}


def request(accept: str, query: str = "") -> Request:
    headers = [(b"accept", accept.encode())]
    return Request({"type": "http", "headers": headers, "query_string": query.encode()})


def answer(status: int = 200) -> Response:
    return Response(orjson.dumps(BODY), status, media_type="application/json")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/msgpack", True),
        ("Application/MsgPack; q=0.9", True),
        ("application/json;q=0.5, application/msgpack", True),
        ("application/msgpack, application/json", True),
        ("application/json, application/msgpack;q=0.5", False),
        ("application/msgpack;q=0", False),
        ("application/msgpack;q=much", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_json_is_what_nobody_has_to_ask_for(accept: str, expected: bool) -> None:
    assert wanted(accept) is expected


def test_the_same_answer_either_way() -> None:
    found = packed(request(MSGPACK), answer())
    assert found.media_type == MSGPACK
    assert msgpack.unpackb(bytes(found.body)) == BODY
    assert found.headers["vary"] == "accept"
    assert orjson.loads(bytes(packed(request("*/*"), answer()).body)) == BODY


@pytest.mark.parametrize("encoding", ["base64", "base64-float16"])
def test_features_in_base64_are_bytes(encoding: str) -> None:
    found = packed(request(MSGPACK, f"encoding={encoding}"), answer())
    [item] = msgpack.unpackb(bytes(found.body))["items"]
    assert item == {"name": "a", "result": {"feature": FEATURE}}


def test_errors_stay_json() -> None:
    found = packed(request(MSGPACK), answer(422))
    assert found.media_type == "application/json"


def test_only_routes_that_say_so_answer_in_it() -> None:
    assert offered(PACKED)
    assert not offered({200: {"content": {"application/json": {}}}})
    assert not offered({404: {}})
