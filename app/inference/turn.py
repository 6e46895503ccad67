"""On whose behalf work is done, and until when."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, TypeVar

W = TypeVar("W")
R = TypeVar("R")

Clock = Callable[[], float]
"""Seconds that never go back, as `time.monotonic`."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request's place among others.

    `tenant` is opaque: tenants share the workers evenly. `deadline` is on the engine's clock.
    """

    tenant: str
    deadline: float


CURRENT: ContextVar[Turn] = ContextVar("norma_turn")
"""Whose work a worker is at; what it asks of a network is asked in that turn."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class Ticket(Generic[W, R]):
    """One piece of work and the promise of its result.

    Only tickets of one `kind` run together. Those of one `party` joined together, and are pushed
    out together. `settled` is the dispatcher's: it gives each promise exactly one outcome.
    """

    work: W
    kind: Hashable
    turn: Turn
    party: object
    joined: float
    future: "Future[R]" = field(default_factory=Future)
    settled: bool = False


@dataclass(eq=False, slots=True)
class Shift(Generic[W, R]):
    """One worker's stretch of work: what it is at, and since when.

    `retired` is a worker that was given up; what it still brings is thrown away.
    """

    group: list[Ticket[W, R]] = field(default_factory=list)
    since: float = 0.0
    retired: bool = False
