"""The pool: results in order, refusals at once, no place lost and none given twice."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event

import pytest

from app.errors import BusyError, NotReadyError
from app.inference.pool import WorkerPool


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(workers=2, queue=2)
    yield made
    made.close()


class Gate:
    """A job that says when it has begun, and ends when it is let."""

    def __init__(self) -> None:
        self.begun = Event()
        self.open = Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.open.wait(30)
        return "done"


def fail(error: Exception) -> None:
    raise error


async def begun(gate: Gate) -> None:
    await asyncio.to_thread(gate.begun.wait, 30)


def test_results_come_in_the_order_of_the_jobs(pool: WorkerPool) -> None:
    """The first job ends only after the second."""
    second = Event()

    def waits() -> int:
        assert second.wait(30)
        return 1

    def releases() -> int:
        second.set()
        return 2

    assert asyncio.run(pool.run_all([waits, releases])) == [1, 2]


def test_what_does_not_fit_is_refused_and_nothing_of_it_begins(pool: WorkerPool) -> None:
    async def scenario() -> None:
        gates = [Gate() for _ in range(3)]
        held = asyncio.create_task(pool.run_all(gates))
        await begun(gates[0])
        ran: list[int] = []
        with pytest.raises(BusyError):
            await pool.run_all([partial(ran.append, n) for n in range(2)])
        for gate in gates:
            gate.open.set()
        assert await held == ["done"] * 3
        assert ran == []

    asyncio.run(scenario())


def test_the_last_place_can_be_taken(pool: WorkerPool) -> None:
    async def scenario() -> None:
        gates = [Gate() for _ in range(3)]
        held = asyncio.create_task(pool.run_all(gates))
        await begun(gates[0])
        last = asyncio.create_task(pool.run_all([lambda: "last"]))
        await asyncio.sleep(0)
        for gate in gates:
            gate.open.set()
        assert await last == ["last"]
        await held

    asyncio.run(scenario())


def test_failures_give_their_places_back(pool: WorkerPool) -> None:
    async def scenario() -> None:
        for _ in range(10):
            with pytest.raises(ValueError, match="broken"):
                await pool.run_all([partial(fail, ValueError("broken"))] * 4)
        assert await pool.run_all([lambda: 1] * 4) == [1] * 4

    asyncio.run(scenario())


def test_the_first_jobs_error_is_raised_after_all_have_ended(pool: WorkerPool) -> None:
    ended: list[str] = []
    jobs: list[Callable[[], None]] = [
        partial(ended.append, "before"),
        partial(fail, ValueError("first")),
        partial(fail, KeyError("second")),
        partial(ended.append, "after"),
    ]
    with pytest.raises(ValueError, match="first"):
        asyncio.run(pool.run_all(jobs))
    assert sorted(ended) == ["after", "before"]


def test_a_caller_who_goes_away_frees_no_place_that_is_still_used(pool: WorkerPool) -> None:
    """Otherwise many short-lived callers would pile up more work than fits."""

    async def scenario() -> None:
        gates = [Gate(), Gate()]
        held = asyncio.create_task(pool.run_all(gates))
        for gate in gates:
            await begun(gate)
        held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await held
        with pytest.raises(BusyError):
            await pool.run_all([lambda: 1] * 3)
        for gate in gates:
            gate.open.set()
        assert await pool.run_all([lambda: 1] * 2) == [1] * 2

    asyncio.run(scenario())
    assert asyncio.run(pool.run_all([lambda: 1] * 4)) == [1] * 4


def test_a_caller_who_goes_away_takes_what_waits_along(pool: WorkerPool) -> None:
    async def scenario() -> None:
        gates = [Gate(), Gate()]
        held = asyncio.create_task(pool.run_all(gates))
        for gate in gates:
            await begun(gate)
        ran: list[int] = []
        waiting = asyncio.create_task(pool.run_all([partial(ran.append, 1)] * 2))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        for gate in gates:
            gate.open.set()
        await held
        assert await pool.run_all([lambda: 1] * 4) == [1] * 4
        assert ran == []

    asyncio.run(scenario())


def test_closing_waits_for_what_runs_and_refuses_what_waits() -> None:
    pool = WorkerPool(workers=1, queue=1)

    async def scenario() -> None:
        gate = Gate()
        running = asyncio.create_task(pool.run_all([gate]))
        await begun(gate)
        waiting = asyncio.create_task(pool.run_all([lambda: "never"]))
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(pool.close))
        with pytest.raises(NotReadyError):
            await waiting
        assert not closing.done()
        gate.open.set()
        assert await running == ["done"]
        await closing
        assert not pool.running
        with pytest.raises(NotReadyError):
            await pool.run_all([lambda: 1])

    asyncio.run(scenario())
