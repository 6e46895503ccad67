"""A gallery's features for another recogniser, computed in the background from its vault."""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TypeVar

from app.errors import NextRecogniserMissingError
from app.gallery.mover import Progress
from app.gallery.rows.common import new_uid
from app.gallery.service import GalleryService
from app.gallery.types import NewFace
from app.jobs.imports import TENANT, patiently
from app.jobs.ledger import Ledger
from app.jobs.types import Item, Job, NewJob
from app.pipeline import Pipeline
from app.service import Service
from app.vision.keepsake import unpacked

T = TypeVar("T")
KIND = "migration"
LATECOMERS = 256
"""Faces enrolled since the job that a cut-over computes itself; for more it wants another job."""
REPORTED = 10_000


class Migrator:
    """A `Work`, and the other steps of a gallery's move."""

    def __init__(self, service: Service, ledger: Ledger) -> None:
        self._service = service
        self._ledger = ledger
        # No more than there are workers: a live request waits behind one, not behind all.
        self._at_once = service.engine.workers

    async def begin(self, owner: str, name: str) -> Job:
        """The job that computes what is missing; the caller wakes the runner.

        Raises NextRecogniserMissingError and as `moving.begin`.
        """
        found = await self._ask(lambda g: g.gallery(owner, name))
        there = self._other(found.spec.contract_id).pipeline.recogniser
        await self._ask(lambda g: g.mover.begin(owner, name, there.contract_id, there.dim))
        new = NewJob(new_uid(), KIND, name, {}, bytes(32), found.faces)
        return await self._ledger.create(owner, new, None)

    async def run(self, job: Job) -> None:
        """Goes on with whatever face lacks a feature, so that nothing need be remembered."""
        position, start = job.counts.position, perf_counter()
        while done := await self._compute(job.owner, job.gallery):
            position += done
            now = perf_counter()
            await self._ledger.settle(job, [], position, round((now - start) * 1000))
            start = now
        lost = await self._ask(lambda g: g.mover.lost(job.owner, job.gallery, REPORTED))
        refused = [Item(one.id, one.uid, "refused", one.subject, "picture_missing") for one in lost]
        await self._ledger.settle(job, refused, position + len(refused), 0)

    async def progress(self, owner: str, name: str) -> Progress:
        """Raises MoveNotFoundError."""
        return await self._ask(lambda g: g.mover.progress(owner, name))

    async def cut_over(self, owner: str, name: str, *, back: bool) -> Progress:
        """Raises as `moving.cut_over`."""
        done = 0
        while done < LATECOMERS and (found := await self._compute(owner, name)):
            done += found
        await self._ask(lambda g: g.mover.cut_over(owner, name, back=back))
        return await self.progress(owner, name)

    async def finish(self, owner: str, name: str) -> bool:
        """Whether the side that is not in use is gone from every file. Raises MoveNotFoundError."""
        return await self._ask(lambda g: g.mover.finish(owner, name))

    def _other(self, contract_id: str) -> Service:
        first, second = self._service, self._service.next
        if second is None:
            raise NextRecogniserMissingError("NORMA_NEXT_RECOGNISER names no second recogniser")
        return first if contract_id == second.contract_id else second

    async def _compute(self, owner: str, name: str) -> int:
        """Features for the next faces that lack one; how many there were."""
        gallery, move, pictures = await self._ask(
            lambda g: g.mover.pictures(owner, name, self._at_once)
        )
        if not pictures:
            return 0
        there = self._service.speaking(move.contract_id)
        if there.contract_id != move.contract_id:
            raise NextRecogniserMissingError(f"no recogniser here is of {move.contract_id}")
        engine = self._service.engine
        jobs = [partial(_embedded, there.pipeline, one) for one in pictures.values()]
        found = await patiently(lambda: engine.run_all(jobs, engine.turn(TENANT)))
        computed = dict(zip(pictures, found, strict=True))
        await self._ask(lambda g: g.mover.keep(gallery, move, computed))
        return len(pictures)

    async def _ask(self, work: Callable[[GalleryService], T]) -> T:
        return await patiently(lambda: self._service.gallery.run(work))


def _embedded(pipeline: Pipeline, picture: bytes) -> NewFace:
    recogniser = pipeline.recogniser
    [embedding] = recogniser.embed([unpacked(picture).crop(recogniser.template)])
    return NewFace(embedding.feature, pipeline.judge.score(embedding.norm))
