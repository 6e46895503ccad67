"""The import of an upload into a gallery: looked at like any photo, stored exactly once.

What is enrolled and what is reported of it are one transaction, so that a crash at any point
neither loses nor repeats an item. What was refused is reported with its chunk; where a crash came
first it is looked at again, and refused again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Self, TypeVar

from pydantic import TypeAdapter

from app.domain import FaceSelect, QualityPolicy
from app.enrol import Looked, PhotoTerms, Unusable, conflict_from, look_at
from app.errors import (
    BusyError,
    DeadlineError,
    EntryRefusedError,
    GalleryNotFoundError,
    NormaError,
    NotReadyError,
    StoreError,
)
from app.gallery.enrolment import Enrolment
from app.gallery.operations import Enrolled
from app.gallery.rows import faces, subjects
from app.gallery.service import GalleryService
from app.gallery.types import Gallery, Json, NewFace, SubjectSpec
from app.gallery.writer import Transaction
from app.jobs import rows
from app.jobs.chunks import Chunk, Loaded, Photo, chunks, read_ahead
from app.jobs.ledger import Ledger
from app.jobs.sources.entries import Features, Format, Layout, SourceLimits
from app.jobs.sources.reading import entries
from app.jobs.spool import Spools
from app.jobs.types import Item, Job, Outcome
from app.security.errors import ScopeMissingError
from app.service import Service

T = TypeVar("T")
KIND = "import"
AT_ONCE = 16
"""Items being stored at the same time: they share searches and commits."""
TENANT = "\x00jobs"
"""All jobs together are one tenant among those who want a worker."""
ATTEMPTS = 3
BUSY_SECONDS = 0.05
"""How long a job steps back where live requests have filled a queue."""
FATAL = (StoreError, NotReadyError, GalleryNotFoundError)
"""What ends or pauses the job; any other error is about one item."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How an upload is read, and on which terms its photos are enrolled."""

    format: Format
    layout: Layout = "folders"
    face_select: FaceSelect = FaceSelect.LARGEST
    quality: QualityPolicy | None = None
    """None for the gallery's own."""
    conflict_similarity: float | None = None
    consent_ref: str | None = None
    """Of subjects that are new and of whom nothing else says it."""
    features: bool = True
    """Whether the caller may put features in."""

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def of(cls, job: Job) -> Self:
        return TypeAdapter(cls).validate_python(dict(job.options))


@dataclass(frozen=True, slots=True)
class _Terms:
    """What holds for all items of a chunk."""

    job: Job
    gallery: Gallery
    photos: PhotoTerms
    conflict_from: float | None
    consent_ref: str | None
    features: bool

    def spec(self, given: SubjectSpec) -> SubjectSpec:
        """What a new subject is created with."""
        return replace(given, consent_ref=given.consent_ref or self.consent_ref)


@dataclass(frozen=True, slots=True)
class _Ready:
    """An item whose faces can be stored."""

    item: Item
    """As it is reported if they are."""
    source: Loaded
    contract_id: str
    faces: tuple[NewFace, ...]


class Importer:
    """A `Work`."""

    def __init__(
        self, service: Service, ledger: Ledger, spools: Spools, limits: SourceLimits
    ) -> None:
        self._service = service
        self._ledger = ledger
        self._spools = spools
        self._limits = limits
        # No more photos than there are workers: a live request waits behind one, not behind all.
        self._looking = asyncio.Semaphore(service.engine.workers)

    async def run(self, job: Job) -> None:
        options = ImportOptions.of(job)
        position = job.counts.position
        decided = await self._ledger.reported(job, position)
        secret = await self._ledger.secret(job)
        file = await asyncio.to_thread(self._spools.open, job.uid, secret)

        def pieces() -> Iterator[Chunk]:
            found = entries(options.format, file, options.layout, self._limits)
            return chunks(found, position, decided)

        async with aclosing(read_ahead(file, pieces)) as ahead:
            async for chunk in ahead:
                start = perf_counter()
                refused = await self._chunk(await self._terms(job, options), chunk)
                spent = round((perf_counter() - start) * 1000)
                await self._ledger.settle(job, refused, chunk.end, spent)

    async def _terms(self, job: Job, options: ImportOptions) -> _Terms:
        """Anew for each chunk: the gallery grows, and its policy may change."""
        gallery = await self._ask(lambda g: g.gallery(job.owner, job.gallery))
        quality = gallery.spec.policy.enrol.granted(options.quality, "enrol")
        return _Terms(
            job,
            gallery,
            PhotoTerms(options.face_select, quality, skip=True, vault=gallery.spec.policy.vault),
            conflict_from(self._service, gallery, options.conflict_similarity),
            options.consent_ref,
            options.features,
        )

    async def _chunk(self, terms: _Terms, chunk: Chunk) -> list[Item]:
        """Stores what can be stored; reports of the other items.

        All photos are looked at side by side. Faces are stored in the order of the source where
        that decides who comes first: within a subject, and in a gallery that refuses conflicts.
        """
        looked = await _all(self._faces(terms, item) for item in chunk.items)
        lanes: dict[str | None, list[_Ready]] = defaultdict(list)
        in_order = terms.gallery.spec.conflict == "reject"
        for one in looked:
            if isinstance(one, _Ready):
                lanes[None if in_order else one.source.subject].append(one)
        turn = asyncio.Semaphore(AT_ONCE)
        refused = await _all(self._lane(terms, lane, turn) for lane in lanes.values())
        return [one for one in looked if isinstance(one, Item)] + list(chain(*refused))

    async def _faces(self, terms: _Terms, item: Loaded) -> _Ready | Item:
        content = item.content
        if isinstance(content, NormaError):
            return _reported(item, "refused", content)
        if item.subject is None:
            return _reported(item, "refused", EntryRefusedError("nothing names its subject"))
        if isinstance(content, Features):
            if not terms.features:
                return _reported(item, "refused", ScopeMissingError("a feature without the scope"))
            one = content.faces[0] if len(content.faces) == 1 else None
            done = _reported(item, "enrolled", quality=one.quality if one else None)
            return _Ready(done, item, content.contract_id, content.faces)
        return await self._photo(terms, item, item.subject, content)

    async def _photo(self, terms: _Terms, item: Loaded, key: str, photo: Photo) -> _Ready | Item:
        async with self._looking:
            if await self._ask(partial(_knows, gallery=terms.gallery, key=key, photo=photo)):
                return _reported(item, "skipped_duplicate")
            looked = await self._look(terms, item.name, photo)
        if isinstance(looked, Unusable):
            return _reported(item, "refused", looked.error)
        done = _reported(item, "enrolled", quality=looked.quality)
        return _Ready(done, item, self._speaking(terms).contract_id, (looked,))

    def _speaking(self, terms: _Terms) -> Service:
        return self._service.speaking(terms.gallery.spec.contract_id)

    async def _look(self, terms: _Terms, name: str, photo: Photo) -> Looked:
        """A photo on which workers die or get stuck again and again is unusable."""
        engine = self._service.engine
        job = partial(look_at, self._speaking(terms).pipeline, terms.photos, name, photo.data)
        failure: NormaError
        for _ in range(ATTEMPTS):
            try:
                [looked] = await patiently(lambda: engine.run_all([job], engine.turn(TENANT)))
            except (DeadlineError, NotReadyError) as error:
                failure = error
                await asyncio.sleep(BUSY_SECONDS)
            else:
                return looked
        return Unusable(failure)

    async def _lane(self, terms: _Terms, lane: list[_Ready], turn: asyncio.Semaphore) -> list[Item]:
        """Stores one after the other; reports of those that were not stored."""
        refused = []
        for ready in lane:
            async with turn:
                try:
                    await self._ask(partial(_store, terms=terms, ready=ready))
                except FATAL:
                    raise
                except NormaError as error:
                    refused.append(_reported(ready.source, "refused", error))
        return refused

    async def _ask(self, work: Callable[[GalleryService], T]) -> T:
        return await patiently(lambda: self._service.gallery.run(work))


def _knows(service: GalleryService, gallery: Gallery, key: str, photo: Photo) -> bool:
    """Whether the subject has a face from this very photo."""
    with service.store.read() as connection:
        subject = subjects.find(connection, gallery, key)
        return subject is not None and faces.has_source(connection, gallery, subject, photo.source)


def _store(service: GalleryService, terms: _Terms, ready: _Ready) -> None:
    """The faces and the report of them, in one transaction."""
    item, job = ready.item, terms.job

    def alongside(transaction: Transaction, enrolled: Enrolled) -> None:
        known = bool(ready.faces) and not enrolled.faces
        done = _reported(ready.source, "skipped_duplicate") if known else item
        rows.report(transaction.connection, job, done)

    enrolment = Enrolment(
        key=ready.source.subject or "",
        faces=ready.faces,
        contract_id=ready.contract_id,
        create=terms.spec(ready.source.spec),
        conflict_from=terms.conflict_from,
        once=True,
        alongside=alongside,
    )
    service.enrol(job.owner, terms.gallery.name, enrolment)


def _reported(
    item: Loaded,
    outcome: Outcome,
    error: NormaError | None = None,
    quality: float | None = None,
) -> Item:
    reasons = error.details.get("reasons", ()) if error else ()
    return Item(
        n=item.n,
        name=item.name,
        outcome=outcome,
        subject=item.subject,
        code=error.code if error else None,
        reasons=tuple(str(reason) for reason in reasons) if isinstance(reasons, list) else (),
        quality=quality,
    )


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Live requests come first: what is refused for them is asked for again."""
    while True:
        try:
            return await ask()
        except BusyError:
            await asyncio.sleep(BUSY_SECONDS)


async def _all(work: Iterable[Awaitable[T]]) -> list[T]:
    """In order. Where one fails the others are stopped."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
