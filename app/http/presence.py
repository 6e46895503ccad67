"""Nothing is computed for a client that has left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from app.errors import NormaError


class ClientGoneError(NormaError):
    """The client left before its answer. Only logs and metrics ever see this."""

    code = "client_gone"
    status = 499


@asynccontextmanager
async def present(request: Request) -> AsyncIterator[None]:
    """What is awaited inside is cancelled when the client leaves; for after the body was read.

    Servers do not do that by themselves. Raises ClientGoneError then, whose answer nobody reads.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this is a coroutine
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise ClientGoneError("the client left before its answer") from None
    finally:
        watcher.cancel()
