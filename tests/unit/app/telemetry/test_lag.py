"""F31: a handler that blocks the event loop is seen."""

import asyncio
import time

from app.telemetry.lag import probing


def lags(block: float) -> list[float]:
    """What is observed while something holds the event loop for so long, once."""
    seen: list[float] = []

    async def scenario() -> None:
        observed = asyncio.Event()

        def observe(lag: float) -> None:
            seen.append(lag)
            observed.set()

        async with probing(observe, every=0.01):
            await asyncio.sleep(0)
            time.sleep(block)  # noqa: ASYNC251 - the fault that is to be seen
            await observed.wait()

    asyncio.run(scenario())
    return seen


def test_F31_a_blocked_loop_is_as_late_as_it_was_blocked() -> None:
    assert max(lags(block=0.2)) >= 0.19


def test_the_probe_ends_with_the_service() -> None:
    async def scenario() -> None:
        async with probing(lambda _: None):
            pass
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
