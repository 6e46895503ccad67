"""A client that leaves takes its work along, without a trace in the log."""

import asyncio
from collections.abc import Awaitable

import pytest
from starlette.requests import Request
from starlette.types import Message

from app.http.presence import ClientGoneError, present

BODY: Message = {"type": "http.request", "body": b"photo", "more_body": False}
GONE: Message = {"type": "http.disconnect"}


class Client:
    """Sends a body, and leaves when it is told to."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.messages.put_nowait(BODY)
        self.request = Request({"type": "http", "headers": []}, self.messages.get)

    def leave(self) -> None:
        self.messages.put_nowait(GONE)


async def work(client: Client, inside: Awaitable[str]) -> str:
    """What a route does: read, compute, answer."""
    assert await client.request.body() == b"photo"
    async with present(client.request):
        return await inside


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_answer_comes_and_nobody_keeps_watching() -> None:
    async def scenario() -> None:
        assert await work(Client(), asyncio.sleep(0.01, "answer")) == "answer"
        await settled()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_F26_who_leaves_cancels_what_is_awaited() -> None:
    async def scenario() -> None:
        client, computing = Client(), asyncio.get_running_loop().create_future()
        request = asyncio.create_task(work(client, computing))
        await settled()
        client.leave()
        with pytest.raises(ClientGoneError):
            await request
        assert computing.cancelled()
        assert not request.cancelled()
        assert request.cancelling() == 0

    asyncio.run(scenario())


def test_a_cancelled_server_is_not_taken_for_a_client_that_left() -> None:
    async def scenario() -> None:
        request = asyncio.create_task(work(Client(), asyncio.sleep(60, "answer")))
        await settled()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert request.cancelled()

    asyncio.run(scenario())


def test_errors_come_through() -> None:
    async def failing() -> str:
        raise ValueError("broken")

    async def scenario() -> None:
        with pytest.raises(ValueError, match="broken"):
            await work(Client(), failing())

    asyncio.run(scenario())
