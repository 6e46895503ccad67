"""The jobs of the gallery's database, as the service and the runner ask for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from app.errors import InputError, LimitReachedError
from app.gallery import cursor
from app.gallery.room import GalleryRoom
from app.gallery.rows import galleries, idempotency
from app.gallery.rows.common import now
from app.gallery.service import GalleryService
from app.gallery.writer import Transaction
from app.jobs import rows
from app.jobs.types import Failure, Item, Job, NewJob, Outcome, State

T = TypeVar("T")
KEPT_MS = 30 * 24 * 3600 * 1000
"""How long a finished job and its report are kept."""
NEWEST = 2**62


@dataclass(frozen=True, slots=True)
class Request:
    """What makes two requests for a job the same: the caller's key, and a digest of the rest."""

    key: str
    digest: bytes


class Ledger:
    """Every answer is durable. Another owner's jobs are not found."""

    def __init__(self, room: GalleryRoom, most: int) -> None:
        """An owner may have `most` unfinished jobs: each holds an upload on disk."""
        self._room = room
        self._most = most

    @property
    def is_open(self) -> bool:
        """Whether there is a gallery, and so perhaps a job."""
        return self._room.is_open

    async def create(self, owner: str, new: NewJob, request: Request | None) -> Job:
        """The new job, or the one that the same request made before.

        Raises GalleryNotFoundError, LimitReachedError, IdempotencyConflictError.
        """
        return await self._write(lambda t: self._create(t, owner, new, request))

    def _create(
        self, transaction: Transaction, owner: str, new: NewJob, request: Request | None
    ) -> Job:
        connection = transaction.connection
        gallery = galleries.get(connection, owner, new.gallery)
        if request is not None:
            before = idempotency.recall(connection, owner, request.key, request.digest)
            if before is not None:
                return rows.get(connection, owner, before)
        for old in rows.finished_before(connection, owner, now() - KEPT_MS):
            rows.delete(connection, old)
        if rows.count_unfinished(connection, owner) >= self._most:
            raise LimitReachedError(
                f"{self._most} jobs are unfinished already", limit="jobs", value=self._most
            )
        rows.insert(connection, gallery, new)
        if request is not None:
            idempotency.remember(connection, owner, request.key, request.digest, new.uid)
        return rows.get(connection, owner, new.uid)

    async def get(self, owner: str, uid: str) -> Job:
        """Raises JobNotFoundError."""

        def read(gallery: GalleryService) -> Job:
            with gallery.store.read() as connection:
                return rows.get(connection, owner, uid)

        return await self._room.run(read)

    async def page(self, owner: str, after: str | None, limit: int) -> tuple[list[Job], str | None]:
        """The newest first, and the cursor of the next page."""

        def read(gallery: GalleryService) -> tuple[list[Job], str | None]:
            epoch, listing = gallery.store.epoch, f"{owner}/jobs"
            before = int(cursor.decode(epoch, listing, after) or NEWEST)
            with gallery.store.read() as connection:
                found = rows.page(connection, owner, before, limit + 1)
            more = len(found) > limit
            return found[:limit], cursor.encode(
                epoch, listing, str(found[limit - 1].id)
            ) if more else None

        return await self._room.run(read)

    async def items(
        self, job: Job, after: str | None, limit: int, outcome: Outcome | None
    ) -> tuple[list[Item], str | None]:
        """A page of the report, in the order of the source, and the cursor of the next one."""

        def read(gallery: GalleryService) -> tuple[list[Item], str | None]:
            epoch, listing = gallery.store.epoch, f"{job.owner}/{job.uid}/items"
            behind = int(cursor.decode(epoch, listing, after) or -1)
            with gallery.store.read() as connection:
                found = rows.items(connection, job, behind, limit + 1, outcome)
            more = len(found) > limit
            return found[:limit], cursor.encode(
                epoch, listing, str(found[limit - 1].n)
            ) if more else None

        return await self._room.run(read)

    async def unfinished(self) -> list[Job]:
        """Every owner's, the oldest first."""

        def read(gallery: GalleryService) -> list[Job]:
            with gallery.store.read() as connection:
                return rows.unfinished(connection)

        return await self._room.run(read)

    async def resume(self, most: int) -> list[Job]:
        """At start: those that the last end of the process interrupted wait again, or have failed,
        having ended it `most` times. All that are unfinished then."""
        for job in await self.unfinished():
            if job.state == "running":
                await self._write(partial(_resume, job=job, most=most))
        return await self.unfinished()

    async def secret(self, job: Job) -> bytes:
        """What opens the job's spool; raises as `rows.secret`."""

        def read(gallery: GalleryService) -> bytes:
            with gallery.store.read() as connection:
                return rows.secret(connection, job)

        return await self._room.run(read)

    async def reported(self, job: Job, first: int) -> set[int]:
        """Places of the items from `first` on that a run before this one has decided."""

        def read(gallery: GalleryService) -> set[int]:
            with gallery.store.read() as connection:
                return rows.reported(connection, job, first)

        return await self._room.run(read)

    async def set_state(self, job: Job, state: State, error: Failure | None = None) -> bool:
        """Of an unfinished job; False where it has finished meanwhile."""
        return await self._write(lambda t: rows.set_state(t.connection, job, state, error))

    async def settle(self, job: Job, items: Sequence[Item], position: int, active_ms: int) -> None:
        """Reports these items; everything before `position` is decided."""

        def write(transaction: Transaction) -> None:
            for item in items:
                rows.report(transaction.connection, job, item)
            rows.advance(transaction.connection, job, position, active_ms)

        await self._write(write)

    async def forget(self, job: Job) -> None:
        """A finished job, with its report."""
        if not job.finished:
            raise InputError("an unfinished job is cancelled first")
        await self._write(lambda t: rows.delete(t.connection, job))

    async def _write(self, operation: Callable[[Transaction], T]) -> T:
        return await self._room.run(lambda gallery: gallery.store.write(operation))


def _resume(transaction: Transaction, job: Job, most: int) -> None:
    rows.resume(transaction.connection, job, most)
