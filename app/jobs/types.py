"""What a job is, and what it reports. Times are milliseconds since the Unix epoch, UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from app.gallery.types import Json

State = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
"""`paused` goes on by itself: at the next start, or once the disk has space again."""
Outcome = Literal["enrolled", "skipped_duplicate", "refused"]
STATES: tuple[State, ...] = get_args(State)
FINISHED: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be queued. `secret` opens its spool; it is forgotten when the job ends."""

    uid: str
    kind: str
    gallery: str
    options: Mapping[str, Json]
    secret: bytes = field(repr=False)
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a job is. Items before `position` are decided; `total` is None where unknown."""

    position: int
    total: int | None
    succeeded: int
    skipped: int
    refused: int

    @property
    def done(self) -> int:
        return self.succeeded + self.skipped + self.refused


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, or what a paused one waits for: a stable code, and words."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored. `active_ms` is the time it has run, without the time it waited."""

    id: int
    uid: str
    owner: str
    kind: str
    gallery_id: int
    gallery: str
    """The gallery's name; empty once the gallery is gone."""
    state: State
    options: Mapping[str, Json]
    error: Failure | None
    counts: Counts
    active_ms: int
    created_at: int
    updated_at: int
    finished_at: int | None

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one item. `n` is its place in the source; `code` and `reasons` say why it was
    refused."""

    n: int
    name: str
    outcome: Outcome
    subject: str | None = None
    code: str | None = None
    reasons: tuple[str, ...] = ()
    quality: float | None = None
