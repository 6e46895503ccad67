"""The engine on real threads: results in order, refusals at once, no place lost."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from weakref import ref

import pytest

from app.errors import BusyError, DeadlineError, InputError, NormaError, NotReadyError
from app.inference.engine import Engine, EngineOptions
from app.inference.turn import Turn
from tests.unit.app.inference.gates import Gate, Networks

OPTIONS = EngineOptions(workers=2, queue=2, deadline=60, stall=60, patience=60)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(OPTIONS, Networks())
    yield made
    assert made.taken == 0
    made.close()


@pytest.fixture
def turn(engine: Engine) -> Turn:
    return engine.turn("tenant")


def fail(error: Exception) -> None:
    raise error


async def begun(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.begun.wait, 30)


async def drained(engine: Engine) -> None:
    """Places come back right after the results."""
    for _ in range(3000):
        if engine.taken == 0:
            return
        await asyncio.sleep(0.01)


def test_results_come_in_the_order_of_the_jobs(engine: Engine, turn: Turn) -> None:
    """The first job ends only after the second."""
    second = Event()

    def waits() -> int:
        assert second.wait(30)
        return 1

    def releases() -> int:
        second.set()
        return 2

    assert asyncio.run(engine.run_all([waits, releases], turn)) == [1, 2]


def test_what_does_not_fit_is_refused_and_nothing_of_it_begins(engine: Engine, turn: Turn) -> None:
    async def scenario() -> None:
        gates = [Gate() for _ in range(3)]
        held = asyncio.create_task(engine.run_all(gates, turn))
        await begun(gates[0])
        ran: list[int] = []
        with pytest.raises(BusyError):
            await engine.run_all([partial(ran.append, n) for n in range(2)], turn)
        last = asyncio.create_task(engine.run_all([lambda: "last"], turn))
        await asyncio.sleep(0)
        for gate in gates:
            gate.open.set()
        assert await held == ["done"] * 3
        assert await last == ["last"]
        assert ran == []

    asyncio.run(scenario())


def test_failures_give_their_places_back(engine: Engine, turn: Turn) -> None:
    async def scenario() -> None:
        for _ in range(10):
            with pytest.raises(ValueError, match="broken"):
                await engine.run_all([partial(fail, ValueError("broken"))] * 4, turn)
        assert await engine.run_all([lambda: 1] * 4, turn) == [1] * 4

    asyncio.run(scenario())


def test_the_first_jobs_error_is_raised_after_all_have_ended(engine: Engine, turn: Turn) -> None:
    ended: list[str] = []
    jobs: list[Callable[[], None]] = [
        partial(ended.append, "before"),
        partial(fail, ValueError("first")),
        partial(fail, KeyError("second")),
        partial(ended.append, "after"),
    ]
    with pytest.raises(ValueError, match="first"):
        asyncio.run(engine.run_all(jobs, turn))
    assert sorted(ended) == ["after", "before"]


def test_F27_a_caller_who_goes_away_frees_no_place_that_is_still_used(
    engine: Engine, turn: Turn
) -> None:
    """Otherwise many short-lived callers would pile up more work than fits."""

    async def scenario() -> None:
        gates = [Gate(), Gate()]
        held = asyncio.create_task(engine.run_all(gates, turn))
        for gate in gates:
            await begun(gate)
        held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await held
        with pytest.raises(BusyError):
            await engine.run_all([lambda: 1] * 3, turn)
        for gate in gates:
            gate.open.set()
        assert await engine.run_all([lambda: 1] * 2, turn) == [1] * 2
        await drained(engine)

    asyncio.run(scenario())


def test_F26_a_caller_who_goes_away_takes_what_waits_along(engine: Engine, turn: Turn) -> None:
    async def scenario() -> None:
        gates = [Gate(), Gate()]
        held = asyncio.create_task(engine.run_all(gates, turn))
        for gate in gates:
            await begun(gate)
        ran: list[int] = []
        waiting = asyncio.create_task(engine.run_all([partial(ran.append, 1)] * 2, turn))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert engine.taken == 2
        for gate in gates:
            gate.open.set()
        await held
        assert await engine.run_all([lambda: 1] * 4, turn) == [1] * 4
        assert ran == []

    asyncio.run(scenario())


def test_F29_the_deadline_is_kept_while_the_work_goes_on(engine: Engine) -> None:
    async def scenario() -> None:
        gates = [Gate() for _ in range(3)]
        short = Turn("tenant", engine.turn("tenant").deadline - OPTIONS.deadline + 0.2)
        with pytest.raises(DeadlineError):
            await engine.run_all(gates, short)
        assert engine.taken == 2
        for gate in gates:
            gate.open.set()
        await drained(engine)
        assert not gates[2].begun.is_set()

    asyncio.run(scenario())


def test_more_jobs_than_fit_are_fed_by_and_by(engine: Engine, turn: Turn) -> None:
    most = 0

    def job(n: int) -> int:
        nonlocal most
        most = max(most, engine.taken)
        return n

    assert asyncio.run(engine.run_each([partial(job, n) for n in range(20)], turn)) == [*range(20)]
    assert most <= OPTIONS.workers


def test_one_of_many_fails_alone(engine: Engine, turn: Turn) -> None:
    jobs: list[Callable[[], object]] = [lambda: 1, partial(fail, InputError("poor")), lambda: 3]
    first, second, third = asyncio.run(engine.run_each(jobs, turn))
    assert (first, third) == (1, 3)
    assert isinstance(second, InputError)


def test_many_are_refused_at_once_where_not_even_the_first_fit(engine: Engine, turn: Turn) -> None:
    async def scenario() -> None:
        gates = [Gate() for _ in range(4)]
        held = asyncio.create_task(engine.run_all(gates, turn))
        await begun(gates[0])
        with pytest.raises(BusyError):
            await engine.run_each([lambda: 1] * 3, turn)
        for gate in gates:
            gate.open.set()
        await held

    asyncio.run(scenario())


def test_closing_waits_for_what_runs_and_refuses_what_waits() -> None:
    engine = Engine(OPTIONS, Networks())
    turn = engine.turn("tenant")

    async def scenario() -> None:
        gates = [Gate(), Gate()]
        running = asyncio.create_task(engine.run_all(gates, turn))
        for gate in gates:
            await begun(gate)
        waiting = asyncio.create_task(engine.run_all([lambda: "never"], turn))
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        with pytest.raises(NotReadyError):
            await waiting
        assert not closing.done()
        for gate in gates:
            gate.open.set()
        assert await running == ["done"] * 2
        await closing
        with pytest.raises(NotReadyError):
            await engine.run_all([lambda: 1], turn)
        with pytest.raises(NotReadyError, match="stopped"):
            engine.check_ready()

    asyncio.run(scenario())


async def ready(engine: Engine) -> None:
    """Until it says so, as one who asks again and again."""
    for _ in range(1000):
        try:
            return engine.check_ready()
        except NotReadyError:
            await asyncio.sleep(0.01)
    raise AssertionError("it does not recover")


@pytest.mark.parametrize("death", [SystemExit(), KeyboardInterrupt()])
def test_F25_a_worker_that_dies_answers_its_caller_and_is_replaced(
    engine: Engine, turn: Turn, death: BaseException
) -> None:
    def dies() -> None:
        raise death

    async def scenario() -> None:
        for _ in range(3):
            with pytest.raises(NotReadyError, match="died"):
                await engine.run_all([dies, dies], turn)
            with pytest.raises(NotReadyError):
                engine.check_ready()
        await ready(engine)
        assert await engine.run_all([lambda: 1] * 4, turn) == [1] * 4

    asyncio.run(scenario())


def test_F25_a_stuck_worker_is_replaced_while_it_is_stuck() -> None:
    engine = Engine(EngineOptions(2, 2, deadline=60, stall=0.2, patience=60), Networks())
    turn = engine.turn("tenant")

    async def scenario() -> None:
        gate = Gate()
        with pytest.raises(NotReadyError, match="stuck"):
            await engine.run_all([gate], turn)
        with pytest.raises(NotReadyError):
            engine.check_ready()
        await ready(engine)
        assert await engine.run_all([lambda: 1] * 4, turn) == [1] * 4
        gate.open.set()
        assert engine.taken == 0

    asyncio.run(scenario())
    engine.close()


def test_F25_no_more_than_twice_the_workers_are_ever_stuck() -> None:
    engine = Engine(EngineOptions(1, 4, deadline=60, stall=0.1, patience=60), Networks())
    turn = engine.turn("tenant")

    async def scenario() -> None:
        gates = [Gate() for _ in range(5)]
        for gate in gates:
            with pytest.raises(NotReadyError):
                await engine.run_all([gate], Turn("tenant", turn.deadline - 58))
        assert sum(gate.begun.is_set() for gate in gates) == 2
        for gate in gates:
            gate.open.set()
        await ready(engine)
        assert await engine.run_all([lambda: 1], turn) == [1]

    asyncio.run(scenario())
    engine.close()


def test_F24_networks_that_fail_again_and_again_are_tried_until_they_are_well() -> None:
    networks = Networks()
    engine = Engine(OPTIONS, networks)

    async def scenario() -> None:
        networks.well = networks.curable = False
        for _ in range(5):
            with pytest.raises(NotReadyError):
                engine.check_ready()
            await drained(engine)
        assert networks.probes > 1
        networks.curable = True
        await ready(engine)

    asyncio.run(scenario())
    engine.close()


def test_F24_what_does_not_recover_asks_for_a_restart() -> None:
    now = 0.0
    networks = Networks()
    engine = Engine(OPTIONS, networks, clock=lambda: now)
    engine.check_alive()
    networks.well = networks.curable = False
    now = 60.0
    engine.check_alive()
    now = 61.0
    with pytest.raises(NotReadyError, match="does not recover"):
        engine.check_alive()
    networks.well = True
    engine.check_alive()
    engine.close()


def test_every_refusal_says_when_to_come_again() -> None:
    errors: list[type[NormaError]] = [BusyError, DeadlineError, NotReadyError]
    assert all(error.retry_after for error in errors)


class Photo:
    """Something large that a result holds."""


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is freed here is freed at once, not when the garbage collector comes by: photos are
    few objects and many bytes, so it may not come for hundreds of megabytes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def let_go(photo: "ref[Photo]") -> bool:
    """Workers let go of it right after the results are out."""
    for _ in range(300):
        if photo() is None:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.usefixtures("no_collector")
def test_a_result_is_kept_by_nobody_but_its_caller(engine: Engine, turn: Turn) -> None:
    async def scenario() -> bool:
        results = await engine.run_all([Photo], turn)
        photo = ref(results.pop())
        return await let_go(photo)

    assert asyncio.run(scenario())


@pytest.mark.usefixtures("no_collector")
def test_an_error_does_not_keep_the_other_jobs_results(engine: Engine, turn: Turn) -> None:
    seen: list[ref[Photo]] = []

    def sees() -> Photo:
        photo = Photo()
        seen.append(ref(photo))
        return photo

    async def scenario() -> bool:
        try:
            await engine.run_all([sees, partial(fail, InputError("no"))], turn)
        except InputError:
            return await let_go(seen[0])
        return False

    assert asyncio.run(scenario())
