"""The threads that do the work, and the door in front of them.

On a CPU one photo a thread on a shared single-threaded session is the best that was measured;
batching across requests gains nothing there. What does not fit is refused at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from app.errors import BusyError

T = TypeVar("T")


class WorkerPool:
    """Runs jobs off the event loop; at most `workers` at once and `queue` waiting."""

    def __init__(self, workers: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="norma")
        self._capacity = workers + queue
        self._taken = 0
        self.workers = workers
        self.running = True

    async def run_all(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Results in order, once all are done. Raises BusyError at once where they do not fit.

        Where a job fails, its error is raised after all have ended, the first job's first.
        """
        if self._taken + len(jobs) > self._capacity:
            raise BusyError("all workers are taken and the queue is full; try again shortly")
        loop = asyncio.get_running_loop()
        futures = [self._submit(loop, job) for job in jobs]
        results = await asyncio.gather(*futures, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    def _submit(self, loop: asyncio.AbstractEventLoop, job: Callable[[], T]) -> asyncio.Future[T]:
        self._taken += 1
        future = loop.run_in_executor(self._executor, job)
        future.add_done_callback(self._release)
        return future

    def _release(self, _: asyncio.Future[T]) -> None:
        self._taken -= 1

    def close(self) -> None:
        """Wait for what runs; drop what waits."""
        self.running = False
        self._executor.shutdown(wait=True, cancel_futures=True)
