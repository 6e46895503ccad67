"""The threads that do the work, and the door in front of them.

On a CPU one photo a thread on a shared single-threaded session is the best that was measured;
batching across requests gains nothing there. What does not fit is refused at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from time import perf_counter
from typing import TypeVar

from app.errors import BusyError, NotReadyError
from app.telemetry.meters import SILENT, Load, Meters

T = TypeVar("T")


class WorkerPool:
    """Runs jobs off the event loop; at most `workers` at once and `queue` waiting."""

    def __init__(self, workers: int, queue: int, meters: Meters = SILENT) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="norma")
        self._capacity = workers + queue
        self._taken = 0
        self._lock = Lock()
        self._meters = meters
        self.workers = workers
        self.running = True

    async def run_all(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Results in order, once all are done. Raises BusyError at once where they do not fit.

        Where a job fails, its error is raised after all have ended, the first job's first.
        Raises NotReadyError once the pool is closed, also for jobs that were still waiting.
        """
        if not self.running:
            raise NotReadyError("the workers have stopped")
        self._take(len(jobs))
        results = await asyncio.gather(*map(self._submit, jobs), return_exceptions=True)
        for result in results:
            if isinstance(result, asyncio.CancelledError):
                raise NotReadyError("the workers stopped before this was begun")
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    def _submit(self, job: Callable[[], T]) -> asyncio.Future[T]:
        # In the caller's context, so that a trace finds its stages.
        future = self._executor.submit(copy_context().run, self._begun, job, perf_counter())
        # On the thread's own future: a caller who goes away leaves a job that runs on, and its
        # place is not free before that has ended.
        future.add_done_callback(self._release)
        return asyncio.wrap_future(future)

    def _begun(self, job: Callable[[], T], submitted: float) -> T:
        self._meters.waited("workers", perf_counter() - submitted)
        return job()

    def load(self) -> Load:
        """How many jobs run and wait, of how many."""
        taken = self._taken
        running = min(taken, self.workers)
        return Load(running, taken - running, self._capacity)

    def _take(self, places: int) -> None:
        with self._lock:
            if self._taken + places > self._capacity:
                raise BusyError("all workers are taken and the queue is full; try again shortly")
            self._taken += places

    def _release(self, _: Future[T]) -> None:
        with self._lock:
            self._taken -= 1

    def close(self) -> None:
        """Wait for what runs; drop what waits."""
        self.running = False
        self._executor.shutdown(wait=True, cancel_futures=True)
