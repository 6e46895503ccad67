"""The door between the event loop and the workers.

On a CPU one photo a thread on a shared single-threaded session is the best that was measured;
batching across requests gains nothing there. On a GPU the same threads prepare photos, and
`app.inference.batching` gathers what they ask of a network. What does not fit is refused at once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import Any, Protocol, TypeVar

from app.errors import NormaError, NotReadyError
from app.inference.crew import Crew
from app.inference.dispatch import Dispatcher
from app.inference.turn import CURRENT, Clock, Ticket, Turn
from app.telemetry.meters import SILENT, Load, Meters

T = TypeVar("T")
Job = Callable[[], Any]

PROBE = "\x00probe"
"""The tenant of the engine's own question whether it is well again."""


class Patient(Protocol):
    """What the engine's health hangs on besides its workers."""

    @property
    def well(self) -> bool: ...

    def probe(self) -> None:
        """Succeeds where the networks work."""
        ...


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`queue` jobs may wait for `workers`; a request has `deadline` seconds; a worker that spends
    more than `stall` on one job is given up; unwell for `patience`, the process counts as dead."""

    workers: int
    queue: int
    deadline: float
    stall: float
    patience: float


class Engine:
    """Runs jobs off the event loop, tenants taking turns. Every job's outcome comes by its
    deadline, whatever happens to the worker that has it."""

    def __init__(
        self,
        options: EngineOptions,
        patient: Patient,
        meters: Meters = SILENT,
        clock: Clock = time.monotonic,
    ) -> None:
        self.workers = options.workers
        self._options = options
        self._patient = patient
        self._clock = clock
        self._last_well = clock()
        self._probing: Future[None] | None = None
        self._dispatcher: Dispatcher[Job, Any] = Dispatcher(
            options.workers + options.queue, options.stall, clock, meters, "workers"
        )
        self._crew: Crew[Job, Any] = Crew(self._dispatcher, _run, options.workers, 1)

    @property
    def taken(self) -> int:
        """Places in use, of `workers` + `queue`."""
        return self._dispatcher.taken

    def load(self) -> Load:
        """How many jobs run and wait, of how many."""
        return self._dispatcher.load()

    def turn(self, tenant: str) -> Turn:
        """A request's turn from now on."""
        return Turn(tenant, self._clock() + self._options.deadline)

    def check_room(self, tenant: str) -> None:
        """Raises BusyError where not even one job of this tenant would fit. Asked before a body is
        read, it makes refusals cheap, so that they leave the workers their time."""
        self._dispatcher.check_room(tenant)

    async def run_all(self, jobs: Sequence[Callable[[], T]], turn: Turn) -> list[T]:
        """Results in order, once all are done. Raises BusyError at once where they do not fit.

        Where a job fails, its error is raised after all have ended, the first job's first.
        Raises DeadlineError when the time is over, NotReadyError where a worker died or is stuck,
        and once the engine is closed. Cancelled, it takes along what still waits.
        """
        results = await asyncio.gather(*self._submit(jobs, turn), return_exceptions=True)
        failed = next((one for one in results if isinstance(one, BaseException)), None)
        if failed is None:
            return [one for one in results if not isinstance(one, BaseException)]
        try:
            raise failed
        finally:
            # The error keeps this frame: it must not keep the error and the others' photos.
            del failed, results

    async def run_each(self, jobs: Sequence[Callable[[], T]], turn: Turn) -> list[T | NormaError]:
        """Each job's result or known error, in order, of more jobs than should wait at once.

        No more are submitted at a time than there are workers, so that one request does not fill
        the queue. Raises BusyError where not even the first ones fit.
        """
        places = asyncio.Semaphore(self.workers)
        begun = self._submit(jobs[: self.workers], turn)

        async def outcome(job: Callable[[], T], future: asyncio.Future[T] | None) -> T | NormaError:
            async with places:
                try:
                    return await (future or self._submit([job], turn)[0])
                except NormaError as error:
                    return error

        futures = chain(begun, repeat(None))
        return await asyncio.gather(*map(outcome, jobs, futures))

    def _submit(self, jobs: Sequence[Callable[[], T]], turn: Turn) -> list[asyncio.Future[T]]:
        works = [(None, _in_context(job, turn)) for job in jobs]
        tickets: list[Ticket[Job, T]] = self._dispatcher.join(works, turn)
        return [asyncio.wrap_future(ticket.future) for ticket in tickets]

    def check_ready(self) -> None:
        """Raises NotReadyError once the workers have stopped, and while something is unwell.

        Being asked, what is unwell is tried anew, so that it does not take traffic to recover.
        """
        if not self._dispatcher.open:
            raise NotReadyError("the workers have stopped")
        if self._unwell_for() > 0:
            self._try_again()
            raise NotReadyError("a worker or a network failed, and nothing has succeeded since")

    def check_alive(self) -> None:
        """Raises NotReadyError where the process should be restarted: unwell for too long."""
        if self._unwell_for() > self._options.patience:
            raise NotReadyError("a worker or a network failed and does not recover")

    def _unwell_for(self) -> float:
        """Seconds since all was last seen well; 0 where it is."""
        now = self._clock()
        if self._crew.well and self._patient.well:
            self._last_well = now
        return now - self._last_well

    def _try_again(self) -> None:
        if self._probing is not None and not self._probing.done():
            return
        try:
            [ticket] = self._dispatcher.join([(None, self._patient.probe)], self.turn(PROBE))
        except NormaError:
            return
        self._probing = ticket.future

    def close(self) -> None:
        """Wait for what runs; refuse what waits."""
        self._crew.close()


def _in_context(job: Callable[[], T], turn: Turn) -> Callable[[], T]:
    """In the caller's context, so that a trace finds its stages and a network the turn."""
    context = copy_context()
    context.run(CURRENT.set, turn)
    return partial(context.run, job)


def _run(_: int, jobs: Sequence[Job]) -> list[Any]:
    """A job's own failure is its outcome, and nothing to the worker."""
    outcomes: list[Any] = []
    for job in jobs:
        try:
            outcomes.append(job())
        except Exception as error:
            outcomes.append(error)
    return outcomes
