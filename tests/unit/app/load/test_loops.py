"""Load against small servers on loopback, whose behaviour is known."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import numpy as np
import pytest

from app.http import multipart as parser
from app.load.client import Connection, multipart, request
from app.load.loops import Answers, closed, open_loop

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


class Server:
    """Answers each request with the next of its replies, the last one for ever."""

    def __init__(self, *replies: bytes) -> None:
        self.replies = list(replies)
        self.bodies: list[bytes] = []
        self.served: list[asyncio.Task[None] | None] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError):
            while reply := await self.answer(await self.body(reader)):
                writer.write(reply)
                await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def body(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return await reader.readexactly(length)

    async def answer(self, body: bytes) -> bytes:
        self.bodies.append(body)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


async def served(server: Server, use: Callable[[str], Awaitable[Answers]]) -> Answers:
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        found = await use(f"http://127.0.0.1:{port}")
        await asyncio.gather(*filter(None, server.served))
        return found


def ask(url: str, body: bytes = b"photo") -> bytes:
    return request(url, "/v1/embed", body, "image/jpeg")


def test_an_open_loop_sends_what_is_due_whatever_comes_back() -> None:
    server = Server(OK, BUSY, OK)
    found = asyncio.run(served(server, lambda url: open_loop(url, [ask(url)], 200, 0.2)))
    assert len(found.status) == len(server.bodies) == 40
    assert sorted(np.unique(found.status)) == [200, 503]
    assert found.good.sum() == 39


def test_a_latency_counts_from_when_the_request_was_due() -> None:
    """A server that stalls once delays all that is due meanwhile, and all of that shows."""

    class Stalling(Server):
        async def answer(self, body: bytes) -> bytes:
            if len(self.bodies) == 1:
                time.sleep(0.3)  # noqa: ASYNC251 - the whole event loop stands still
            return await super().answer(body)

    found = asyncio.run(served(Stalling(OK), lambda url: open_loop(url, [ask(url)], 100, 0.3)))
    assert found.quantile(0.5) > 50


def test_the_same_seed_gives_the_same_number_of_arrivals_at_the_rate_asked_for() -> None:
    found = asyncio.run(served(Server(OK), lambda url: open_loop(url, [ask(url)], 100, 0.5, 3)))
    assert len(found.status) == 50


def test_a_closed_loop_keeps_its_connections_and_sends_all_requests_in_turn() -> None:
    server = Server(OK)
    found = asyncio.run(
        served(server, lambda url: closed(url, [ask(url, b"a"), ask(url, b"b")], 3, 0.1))
    )
    assert len(server.served) == 3
    assert set(server.bodies) == {b"a", b"b"}
    assert found.good.all()
    assert len(found.status) == len(server.bodies)


def test_a_connection_lost_is_no_answer_and_the_next_request_opens_another() -> None:
    server = Server(OK, b"", OK)
    found = asyncio.run(served(server, lambda url: closed(url, [ask(url)], 1, 0.1)))
    assert (found.status == 0).sum() == 1
    assert len(server.served) == 2


def test_nobody_listening_is_counted() -> None:
    found = asyncio.run(open_loop("http://127.0.0.1:1", [b"x"], 50, 0.1))
    assert (found.status == 0).all()


def test_an_answer_can_be_read() -> None:
    async def use(url: str) -> Answers:
        connection = await Connection.to(url)
        assert await connection.fetch(ask(url)) == (200, b"ok")
        assert await connection.fetch(ask(url)) == (503, b"")
        connection.close()
        return Answers(np.zeros(0), np.zeros(0, np.int64), 1)

    asyncio.run(served(Server(OK, BUSY), use))


def test_rates_count_good_answers_in_time() -> None:
    found = Answers(np.array([10.0, 30, 50, 1]), np.array([200, 200, 200, 503]), 2.0)
    assert found.rate == 1.5
    assert found.good_within(30) == 1.0
    assert found.quantile(0.5) == 30
    assert found.quantile(0.5, refused=True) == 1
    assert np.isnan(Answers(np.zeros(0), np.zeros(0, np.int64), 1).quantile(0.5))


def test_a_form_is_what_the_service_parses() -> None:
    body, kind = multipart({"image_a": b"\xff\xd8one", "image_b": b"two"})
    assert parser.parse(kind, body, max_parts=2) == {"image_a": b"\xff\xd8one", "image_b": b"two"}


@pytest.mark.parametrize("body", [b"", b"\x00" * 1000])
def test_a_request_says_how_long_it_is(body: bytes) -> None:
    data = request("http://127.0.0.1:8000", "/v1/embed", body, "image/jpeg", {"x-api-key": "k"})
    head, _, rest = data.partition(b"\r\n\r\n")
    assert rest == body
    assert f"content-length: {len(body)}".encode() in head
    assert b"host: 127.0.0.1:8000" in head
    assert b"x-api-key: k" in head
