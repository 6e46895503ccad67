"""B40–B42, B49–B51, B56, B57: bytes that no client library sends, against a running service."""

import re
from collections.abc import Iterable

import httpx
import pytest

from tests.hostile import corpus
from tests.hostile.wire import Server, chunked, request

EMBED = ("POST", "/v1/embed", "Content-Type: image/jpeg")
CHUNKED = (*EMBED, "Transfer-Encoding: chunked")
HEALTH = request("GET", "/healthz")


def lengths(*values: str) -> bytes:
    return request(*EMBED, *(f"Content-Length: {value}" for value in values), body=b"xxxxx")


MALFORMED = {
    "B40 two lengths": lengths("5", "5"),
    "B40 two lengths that differ": lengths("5", "50"),
    "B40 a list of lengths": lengths("5, 5"),
    "B40 a negative length": lengths("-1"),
    "B40 a signed length": lengths("+5"),
    "B40 a hexadecimal length": lengths("0x5"),
    "B40 a length with an exponent": lengths("5e0"),
    "B40 a length of 23 digits": lengths("9" * 23),
    "B40 length and chunks": request(*CHUNKED, "Content-Length: 5", body=chunked([b"x"])),
    "B40 chunks and length": request(
        *EMBED, "Content-Length: 5", "Transfer-Encoding: chunked", body=chunked([b"x"])
    ),
    "B40 a coding before chunked": request(
        *EMBED, "Transfer-Encoding: gzip, chunked", body=chunked([b"x"])
    ),
    "B40 an unknown coding": request(*EMBED, "Transfer-Encoding: xchunked", body=chunked([b"x"])),
    "B40 chunked and identity": request(*CHUNKED, "Transfer-Encoding: identity", body=b"0\r\n\r\n"),
    "B41 bare LF": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "B41 one bare LF": b"GET /healthz HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    "B41 bare CR": b"GET /healthz HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",
    "B41 a chunk size of letters": request(*CHUNKED, body=b"zz\r\nx\r\n0\r\n\r\n"),
    "B41 a chunk size with a space": request(*CHUNKED, body=b"1 \r\nx\r\n0\r\n\r\n"),
    "B41 a negative chunk": request(*CHUNKED, body=b"-1\r\nx\r\n0\r\n\r\n"),
    "B41 a chunk of 2^68 bytes": request(*CHUNKED, body=b"f" * 17 + b"\r\nx\r\n0\r\n\r\n"),
    "B41 a chunk without its end": request(*CHUNKED, body=b"1\r\nx0\r\n\r\n"),
    "B41 chunks of one byte": request(*CHUNKED, body=chunked([b"x"] * 200_000)),
    "B41 an endless extension": request(*CHUNKED, body=b"1;" + b"x" * 2**20),
    "B41 trailers": request(*CHUNKED, body=b"1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n"),
    "B42 NUL in a header": request("GET", "/healthz", "X: a\0b"),
    "B42 a space before the colon": request("GET", "/healthz", "X : a"),
    "B42 a folded header": request("GET", "/healthz", "X: a\r\n b"),
    "B42 no colon": request("GET", "/healthz", "X"),
    "B42 Authorization twice": request("GET", "/healthz", "Authorization: a", "Authorization: b"),
    "B42 Host twice": request("GET", "/healthz", "Host: other"),
    "B42 no Host": request("GET", "/healthz", host=""),
    "B42 Host with a path": request("GET", "/healthz", host="a/../b"),
    "B42 Host with a user": request("GET", "/healthz", host="a@b"),
    "B49 CONNECT": request("CONNECT", "other:443"),
    "B49 an unknown method": request("BREW", "/healthz"),
    "B49 a method in lower case": request("get", "/healthz"),
    "B50 a path that is not ASCII": "GET /é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "B51 Upgrade with a body": request(*EMBED, "Connection: upgrade", "Upgrade: h2c", body=b"x"),
    "B57 a TLS hello": bytes.fromhex("16030100c8010000c40303") + b"\1" * 190,
    "B57 noise": b"\0\xff\xfe" * 1000,
    "B57 SSH": b"SSH-2.0-OpenSSH_9.9\r\n",
    "B57 HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "B57 HTTP/9.9": b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=list(MALFORMED))
def test_what_is_not_plainly_http_is_refused_and_the_connection_closed(
    server: Server, sent: bytes
) -> None:
    reply = server.say(sent)
    assert (reply.statuses, reply.code, reply.closed) == ([400], "request_malformed", True)


TOO_LARGE = {
    "B42 10 000 headers": request("GET", "/healthz", *(f"X-{n}: a" for n in range(10_000))),
    "B42 101 headers": request("GET", "/healthz", *(f"X-{n}: a" for n in range(100))),
    "B42 a header of 1 MB": request("GET", "/healthz", "X: " + "a" * 2**20),
    "B42 a header without an end": b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 2**20,
    "B42 a name without an end": b"GET /healthz HTTP/1.1\r\n" + b"a" * 2**20,
    "B50 a path of 64 kB": request("GET", "/" + "a" * 2**16),
}


@pytest.mark.parametrize("sent", TOO_LARGE.values(), ids=list(TOO_LARGE))
def test_a_head_that_is_too_large_is_refused(server: Server, sent: bytes) -> None:
    reply = server.say(sent)
    assert (reply.statuses, reply.code, reply.closed) == ([431], "head_too_large", True)


ANSWERED = {
    "B40 a body beyond the limit": (lengths("999999999"), [413], "body_too_large"),
    "B40 a length too short": (lengths("2"), [415], "image_unsupported"),
    "B40 a length too long": (lengths("50"), [408], "body_timeout"),
    "B41 chunks": (request(*CHUNKED, body=chunked([b"x", b"y"])), [415], "image_unsupported"),
    "B42 99 headers": (
        request("GET", "/healthz", *(f"X-{n}: a" for n in range(98))),
        [200],
        None,
    ),
    "B42 an IPv6 Host": (request("GET", "/healthz", host="[::1]:80"), [200], None),
    "B50 another authority": (request("GET", "http://other/healthz"), [200], None),
    "B50 doubled slashes": (request("POST", "//v1//verify"), [404], "not_found"),
    "B50 a slash behind": (request("POST", "/v1/verify/"), [404], "not_found"),
    "B50 an encoded slash": (request("GET", "/v1%2fmodels"), [404], "not_found"),
    "B50 an encoded slash before": (request("GET", "/%2Fv1/models"), [404], "not_found"),
    "B50 capitals": (request("POST", "/V1/VERIFY"), [404], "not_found"),
    "B50 dots": (request("GET", "/v1/../healthz"), [404], "not_found"),
    "B50 encoded dots": (request("GET", "/v1/%2e%2e/healthz"), [404], "not_found"),
    "B50 bytes that are not UTF-8": (request("GET", "/%ff%fe"), [404], "not_found"),
    "B51 Range": (request("GET", "/healthz", "Range: bytes=0-1"), [200], None),
    "B51 Upgrade": (
        request("GET", "/healthz", "Connection: upgrade", "Upgrade: websocket"),
        [200],
        None,
    ),
    "B51 Expect beyond the limit": (
        request(*EMBED, "Expect: 100-continue", "Content-Length: 999999999"),
        [413],
        "body_too_large",
    ),
    "B51 another expectation": (
        request(*EMBED, "Expect: 200-ok", body=b"x"),
        [417],
        "expectation_failed",
    ),
    "B51 gzip": (
        request(*EMBED, "Content-Encoding: gzip", body=b"x"),
        [415],
        "body_unsupported",
    ),
    "B51 br": (request(*EMBED, "Content-Encoding: br", body=b"x"), [415], "body_unsupported"),
    "B56 an HTTP/1.0 request": (b"GET /healthz HTTP/1.0\r\n\r\n", [200], None),
}


@pytest.mark.parametrize(("sent", "statuses", "code"), ANSWERED.values(), ids=list(ANSWERED))
def test_what_is_odd_but_http_is_answered(
    server: Server, sent: bytes, statuses: list[int], code: str | None
) -> None:
    reply = server.say(sent, answers=1)
    assert (reply.statuses, reply.code) == (statuses, code)


def test_b41_trailers_do_not_become_headers_of_the_next_request(server: Server) -> None:
    first = request(*CHUNKED, body=b"1\r\nx\r\n0\r\nX-Request-Id: smuggled\r\n\r\n")
    reply = server.say(first + HEALTH)
    assert (reply.statuses, reply.closed) == ([400], True)
    assert b"smuggled" not in reply.data


def test_b41_damage_behind_an_answer_is_not_answered_again(server: Server) -> None:
    head = request("POST", "/v1/embed", "Content-Type: text/plain", "Transfer-Encoding: chunked")
    reply = server.say(head, b"1\r\nx\r\n", b"zz\r\n", pause=0.3)
    assert (reply.statuses, reply.closed) == ([415], True)


def test_b51_expect_is_told_to_go_on_where_the_body_is_wanted(server: Server) -> None:
    reply = server.say(request(*EMBED, "Expect: 100-continue", body=b"x"), answers=2)
    assert reply.statuses == [100, 415]


def test_b56_pipelined_requests_are_answered_in_order(server: Server) -> None:
    photo = request(*EMBED, body=corpus.flat(64, 64, "JPEG"))
    reply = server.say(HEALTH + photo + HEALTH + photo, answers=4)
    assert reply.statuses == [200, 422, 200, 422]


def test_b56_the_rest_of_a_refused_body_is_not_the_next_requests(server: Server) -> None:
    """A client may send its next request right behind a body that was refused at its head."""
    refused = ("POST", "/v1/embed?x=1", "Content-Type: image/png")
    whole = request(*refused, body=bytes(50_000))
    cut = len(whole) - 49_000
    reply = server.say(whole[:cut], whole[cut:] + whole[:cut], whole[cut:], pause=0.3, answers=2)
    assert reply.statuses == [422, 422]


def test_b56_garbage_behind_a_request_does_not_cost_its_answer(server: Server) -> None:
    reply = server.say(HEALTH + b"\x16\x03\x01" + b"\0" * 100)
    assert (reply.statuses, reply.closed) == ([200], True)


def without_date(answer: bytes) -> bytes:
    return re.sub(rb"date: [^\r]*\r\n", b"", answer)


def test_b56_a_request_cut_at_every_byte(server: Server) -> None:
    whole = request("POST", "/v1/embed", "Content-Type: text/plain", "X-Request-Id: cut", body=b"x")
    expected = without_date(server.say(whole, answers=1).data)
    with server.connect() as raw:
        for at in range(1, len(whole)):
            raw.sendall(whole[:at])
            raw.sendall(whole[at:])
            answer = b""
            while len(without_date(answer)) < len(expected):
                answer += raw.recv(4096)
            assert without_date(answer) == expected


def overlapping(path: str, paths: Iterable[str]) -> list[str]:
    """The templates that this path fits, its own among them."""
    return [one for one in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), path)]


def test_b49_every_other_method_is_refused_with_those_that_are_not(server: Server) -> None:
    methods = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as api:
        paths = api.get("/openapi.json").json()["paths"]
        assert len(paths) > 10
        for path in paths:
            known = {m.upper() for other in overlapping(path, paths) for m in paths[other]}
            for method in sorted(methods - known):
                answer = api.request(method, path.replace("{", "").replace("}", ""))
                assert answer.status_code == 405, (method, path)
                assert answer.headers["allow"] == ", ".join(sorted(known)), path


def test_the_service_lives_on(server: Server) -> None:
    """The last of this file: whatever came before, a request is answered as ever."""
    assert server.say(HEALTH, answers=1).statuses == [200]
