"""What is recorded, and the seam through which all rooms record it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

Detail = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done. `details` hold counts, ids and rates: no feature, no image, no name.

    `subject` is the caller's own id; the log keeps a keyed hash of it.
    """

    action: str
    owner: str
    gallery: str | None = None
    subject: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """A place in the chain: the number of an entry, and its MAC, which vouches for all before it.

    `subject` is the keyed hash of the entry's subject.
    """

    seq: int
    mac: str
    subject: str | None


class Auditor(Protocol):
    """Keeps the record. Thread-safe."""

    def check(self) -> None:
        """Raises AuditFailedError while nothing can be recorded: before a change is begun."""
        ...

    def record(self, event: Event) -> Head | None:
        """Durable on return; None where it could not be written yet: it is tried again."""
        ...

    def note(self, event: Event) -> None:
        """Durable within about a second."""
        ...


class _Silent:
    def check(self) -> None: ...

    def record(self, event: Event) -> Head | None:
        return None

    def note(self, event: Event) -> None: ...


SILENT: Auditor = _Silent()
"""Keeps nothing: for tools and tests."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where what is being done comes from: a key's public id and a request, or neither."""

    key_id: str | None = None
    request_id: str | None = None


_NOWHERE = Origin()
_origin: ContextVar[Origin] = ContextVar("audit_origin", default=_NOWHERE)


def origin() -> Origin:
    return _origin.get()


@contextmanager
def coming_from(key_id: str | None, request_id: str | None) -> Iterator[None]:
    """Whatever is recorded inside, in this task or a thread that took its context, says so."""
    token = _origin.set(Origin(key_id, request_id))
    try:
        yield
    finally:
        _origin.reset(token)
