"""Where `norma gallery import` imports into: a running service, or the data directory itself."""

import asyncio
import json
import threading
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from app.commands.client import Client
from app.errors import GalleryExistsError, StartError
from app.gallery.rows.common import new_uid
from app.gallery.types import GallerySpec
from app.jobs.imports import ImportOptions
from app.jobs.room import Jobs
from app.jobs.types import FINISHED
from app.service import Service, build_service
from app.settings import Settings

T = TypeVar("T")
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a job is. `failure` says why it failed."""

    finished: bool
    done: int
    failure: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item."""

    item: str
    outcome: str
    code: str | None


class Target(Protocol):
    """Takes uploads, and tells what became of them. Errors are NormaErrors."""

    def create(self, identify: bool) -> None: ...

    def submit(self, body: bytes) -> str:
        """The job's id."""
        ...

    def standing(self, job: str) -> Standing: ...

    def outcomes(self, job: str) -> Iterator[Outcome]: ...


class Remote:
    """A running service."""

    def __init__(self, client: Client, gallery: str, options: ImportOptions) -> None:
        self._client = client
        self._gallery = gallery
        self._query = {
            "face_select": options.face_select,
            "quality": options.quality,
            "conflict_similarity": options.conflict_similarity,
            "consent_ref": options.consent_ref,
        }

    def create(self, identify: bool) -> None:
        """The gallery, where it is missing."""
        try:
            self._client.ask("GET", f"/v1/galleries/{self._gallery}")
        except StartError:
            body = json.dumps({"name": self._gallery, "identify": identify}).encode()
            headers = {"content-type": "application/json"}
            self._client.ask("POST", "/v1/galleries", None, body, headers)

    def submit(self, body: bytes) -> str:
        # The key lets an attempt whose answer was lost be repeated.
        headers = {"content-type": "application/x-tar", "idempotency-key": uuid.uuid4().hex}
        path = f"/v1/galleries/{self._gallery}/imports"
        return str(self._client.ask("POST", path, self._query, body, headers)["id"])

    def standing(self, job: str) -> Standing:
        found = self._client.ask("GET", f"/v1/jobs/{job}")
        error = found["error"]
        failure = f"{error['message']} ({error['code']})" if found["state"] == "failed" else None
        return Standing(found["state"] in FINISHED, found["progress"]["done"], failure)

    def outcomes(self, job: str) -> Iterator[Outcome]:
        cursor: str | None = None
        while True:
            query = {"limit": PAGE, "cursor": cursor}
            page = self._client.ask("GET", f"/v1/jobs/{job}/items", query)
            for item in page["items"]:
                yield Outcome(item["item"], item["outcome"], item["code"])
            cursor = page["next_cursor"]
            if cursor is None:
                return


@dataclass(frozen=True, slots=True)
class Direct:
    """The jobs of a service without HTTP, on an event loop in a thread of its own."""

    service: Service
    jobs: Jobs
    loop: asyncio.AbstractEventLoop
    owner: str
    gallery: str
    options: ImportOptions

    def create(self, identify: bool) -> None:
        recogniser = self.service.pipeline.recogniser
        spec = GallerySpec(self.gallery, recogniser.contract_id, recogniser.dim, identify=identify)
        with suppress(GalleryExistsError):
            self._do(self.service.gallery.run(lambda g: g.create_gallery(self.owner, spec)))

    def submit(self, body: bytes) -> str:
        spool = self.jobs.spools.create(new_uid())
        try:
            spool.write(body)
            self.jobs.begin(spool, self.options)
            queued = self.jobs.queue(self.owner, self.gallery, spool, self.options, None)
            return self._do(queued).uid
        except BaseException:
            spool.discard()
            raise

    def standing(self, job: str) -> Standing:
        found = self._do(self.jobs.ledger.get(self.owner, job))
        error = found.error
        failure = f"{error.message} ({error.code})" if error and found.state == "failed" else None
        return Standing(found.finished, found.counts.done, failure)

    def outcomes(self, job: str) -> Iterator[Outcome]:
        found = self._do(self.jobs.ledger.get(self.owner, job))
        cursor: str | None = None
        while True:
            items, cursor = self._do(self.jobs.ledger.items(found, cursor, PAGE, None))
            yield from (Outcome(item.name, item.outcome, item.code) for item in items)
            if cursor is None:
                return

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


@contextmanager
def direct(
    settings: Settings, owner: str, gallery: str, options: ImportOptions
) -> Iterator[Direct]:
    """Opens the data directory itself. Raises StartError where a service is using it."""
    try:
        service = build_service(settings)
    except StartError as error:
        raise StartError(f"{error.message} (--url imports into a running service)") from error
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="import", daemon=True)
    thread.start()

    def do(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    try:
        jobs = Jobs.of(service)
        do(jobs.runner.start())
        try:
            yield Direct(service, jobs, loop, owner, gallery, options)
        finally:
            do(jobs.runner.close())
    finally:
        service.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
