"""F30: clients that send nothing, send slowly, or do not read, while others are served."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.served import running
from tests.hostile.wire import Server, listen, request

HEALTH = request("GET", "/healthz")
HEAD = request("POST", "/v1/embed", "Content-Type: image/jpeg", "Content-Length: 100000")
MOST = 100


@pytest.fixture(scope="module")
def small(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service of a hundred connections and a second's patience."""
    home = tmp_path_factory.mktemp("slow")
    (home / "packages").symlink_to(data_dir / "packages")
    limits = {"head_timeout": "1", "write_timeout": "1", "max_connections": str(MOST)}
    with running(data_dir=str(home), body_timeout="2", **limits) as url:
        yield Server(int(url.rpartition(":")[2]))


PATIENCE = 30.0
"""Seconds, many times what an idle machine needs, after which something was waited for in vain."""


def drip(raw: socket.socket, data: bytes, seconds: float) -> None:
    """One byte every tenth of a second, for that long or until the server has had enough."""
    end = time.monotonic() + seconds
    for at in range(len(data)):
        if time.monotonic() > end:
            return
        try:
            raw.sendall(data[at : at + 1])
        except OSError:
            return
        time.sleep(0.1)


def test_f30_a_body_that_dawdles_is_answered_408_and_closed(small: Server) -> None:
    with small.connect() as raw:
        raw.sendall(HEAD)
        start = time.monotonic()
        drip(raw, b"\xff" * 100, seconds=2.3)
        reply = listen(raw)
        assert time.monotonic() - start < PATIENCE
    assert (reply.statuses, reply.code, reply.closed) == ([408], "body_timeout", True)
    assert b"connection: close" in reply.data


def test_f30_the_rest_of_a_refused_body_is_not_waited_for(small: Server) -> None:
    """415 is clear from the head; who then sends on and on is cut off after two seconds."""
    with small.connect() as raw:
        raw.sendall(HEAD.replace(b"image/jpeg", b"text/plain"))
        assert b" 415 " in raw.recv(4096).split(b"\r\n")[0]
        start = time.monotonic()
        drip(raw, b"x" * 1000, seconds=2 * PATIENCE)
        assert time.monotonic() - start < PATIENCE


def test_f30_the_rest_of_a_refused_body_does_not_cost_the_answer(small: Server) -> None:
    """A client that reads only once it has sent all still learns why it was refused."""
    body = b"x" * 3_000_000
    head = HEAD.replace(b"image/jpeg", b"text/plain").replace(b"100000", b"%d" % len(body))
    with small.connect() as raw:
        raw.sendall(head)
        time.sleep(0.2)
        raw.sendall(body)
        assert b" 415 " in raw.recv(4096).split(b"\r\n")[0]
        raw.sendall(HEALTH)
        assert b" 200 " in raw.recv(4096).split(b"\r\n")[0]


def test_f30_a_head_that_dawdles_is_answered_408_and_closed(small: Server) -> None:
    with small.connect() as raw:
        drip(raw, HEALTH, seconds=3)  # half of it
        reply = listen(raw)
    assert (reply.statuses, reply.code, reply.closed) == ([408], "head_timeout", True)


@pytest.mark.parametrize("said", [b"", b"\r\n"], ids=["nothing", "an empty line"])
def test_f30_a_socket_that_says_nothing_is_closed(small: Server, said: bytes) -> None:
    reply = small.say(said)
    assert (reply.data, reply.closed) == (b"", True)


def test_f30_empty_lines_do_not_keep_an_answered_connection(small: Server) -> None:
    with small.connect() as raw:
        raw.sendall(HEALTH)
        assert raw.recv(4096)
        drip(raw, b"\r\n" * 50, seconds=4)
        assert listen(raw).closed


def test_f30_a_thousand_half_open_sockets_do_not_keep_others_out(small: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(1000, (hard if hard > 0 else 4096) - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    with ExitStack() as stack:
        for number in range(count):
            raw = stack.enter_context(small.connect())
            raw.sendall(b"POST /v1/embed HTTP/1.1\r\n"[: number % 20])
            if number % 100 == 99:
                assert small.say(HEALTH, answers=1).statuses == [200]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_f30_connections_that_all_wait_for_their_answer_leave_no_room(small: Server) -> None:
    """Nobody under way is thrown out for a newcomer, who is told to come again."""
    with ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(small.connect()).sendall(HEAD)
        time.sleep(0.5)
        reply = small.say(HEALTH)
        assert (reply.statuses, reply.code, reply.closed) == ([503], "overloaded", True)
        assert b"retry-after: 1" in reply.data
    end = time.monotonic() + PATIENCE
    while small.say(HEALTH, answers=1).statuses != [200]:
        assert time.monotonic() < end


def test_f30_a_client_that_does_not_read_is_cut_off(small: Server) -> None:
    asked = 400
    with small.connect() as raw:
        raw.setblocking(False)
        unsent = request("GET", "/openapi.json") * asked
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                unsent = unsent[raw.send(unsent) :] if unsent else unsent
            except BlockingIOError:
                pass
            except ConnectionError:
                break
            assert small.say(HEALTH, answers=1).statuses == [200]
        reply = listen(raw)
    assert reply.closed
    assert len(reply.statuses) < asked
