"""How late the event loop is: everybody's answer waits for a handler that blocks it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

EVERY = 0.25
"""Seconds between two probes."""


@asynccontextmanager
async def probing(observe: Callable[[float], None], every: float = EVERY) -> AsyncIterator[None]:
    """Meanwhile tells `observe`, again and again, by how many seconds a timer fired too late."""
    task = asyncio.create_task(_probe(observe, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _probe(observe: Callable[[float], None], every: float) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        observe(max(0.0, loop.time() - due))
