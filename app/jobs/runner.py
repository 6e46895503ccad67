"""Runs jobs one after the other, the oldest first, until each is done: through restarts, too.

A job's state in the database is never ahead of its work: what is `running` there when the service
starts was interrupted, and goes on.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from app.errors import InputError, NormaError, NotReadyError, StoreError
from app.jobs.ledger import Ledger
from app.jobs.spool import Spools
from app.jobs.types import Failure, Job

MOST_INTERRUPTIONS = 5
"""A job that has killed the process so often at one place would do so for ever."""
RETRY_SECONDS = 30.0
"""After which a job that the disk stopped is tried again."""
_log = logging.getLogger("norma.jobs")


class Work(Protocol):
    """What is done for one kind of job."""

    async def run(self, job: Job) -> None:
        """From `job.counts.position` to the end. May be cancelled at any await, and is then run
        again from where it had got to.

        Raises NormaError where the job as a whole cannot be done.
        """
        ...


class JobRunner:
    """One task of the event loop. Owns no thread."""

    def __init__(self, ledger: Ledger, spools: Spools, works: Mapping[str, Work]) -> None:
        """`works` by kind of job."""
        self._ledger = ledger
        self._spools = spools
        self._works = works
        self._wake = asyncio.Event()
        self._closing = False
        self._running: tuple[str, asyncio.Task[None]] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Goes on with what an earlier run left unfinished. Before any job can be created: spools
        that belong to none are removed."""
        if self._ledger.is_open:
            wanted = [job.uid for job in await self._ledger.resume(MOST_INTERRUPTIONS)]
            await asyncio.to_thread(self._spools.keep, wanted)
        self._task = asyncio.create_task(self._run(), name="jobs")

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    async def close(self) -> None:
        """Stops soon; the job that runs is paused, and goes on at the next start."""
        self._closing = True
        self._wake.set()
        if self._running is not None:
            self._running[1].cancel()
        if self._task is not None:
            await self._task

    async def cancel(self, owner: str, uid: str) -> Job:
        """A cancelled job, or one that had finished before. What was done stays done.

        Raises JobNotFoundError.
        """
        job = await self._ledger.get(owner, uid)
        if await self._ledger.set_state(job, "cancelled"):
            if self._running is not None and self._running[0] == uid:
                self._running[1].cancel()
            else:
                await asyncio.to_thread(self._spools.remove, uid)
        return await self._ledger.get(owner, uid)

    async def _run(self) -> None:
        while not self._closing:
            self._wake.clear()
            try:
                waiting = await self._ledger.unfinished() if self._ledger.is_open else []
                if waiting and not self._closing:
                    await self._carry_out(waiting[0])
                    continue
            except NormaError as error:
                _log.warning("jobs have to wait: %s", error.message)
                await self._rest(RETRY_SECONDS)
                continue
            await self._rest(None)

    async def _rest(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _carry_out(self, job: Job) -> None:
        """Raises StoreError where the job is paused for the disk."""
        if not await self._ledger.set_state(job, "running"):
            return
        task = asyncio.create_task(self._work(job), name=f"job {job.uid}")
        self._running = (job.uid, task)
        try:
            await self._settled(job, task)
        finally:
            self._running = None

    async def _work(self, job: Job) -> None:
        if job.kind not in self._works:
            raise InputError(f"this release knows no job of the kind {job.kind!r}")
        await self._works[job.kind].run(job)

    async def _settled(self, job: Job, task: "asyncio.Task[None]") -> None:
        await asyncio.wait([task])
        if task.cancelled():  # by close, or by a caller, who has noted it already
            await self._ledger.set_state(job, "paused", Failure("not_ready", "the service stopped"))
        elif (error := task.exception()) is None:
            await self._ledger.set_state(job, "done")
        elif isinstance(error, StoreError | NotReadyError):
            await self._ledger.set_state(job, "paused", Failure(error.code, error.message))
            raise error
        elif isinstance(error, NormaError):
            await self._ledger.set_state(job, "failed", Failure(error.code, error.message))
        else:
            _log.error("a job failed unexpectedly", exc_info=error)
            failure = Failure("internal_error", "something failed that should not have")
            await self._ledger.set_state(job, "failed", failure)
        if not self._closing:
            await asyncio.to_thread(self._spools.remove, job.uid)
