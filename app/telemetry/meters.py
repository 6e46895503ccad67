"""What the parts report while they work; what becomes of it is not their business.

Whatever is reported names stages, codes and classes, never a gallery, a subject, a key or a photo.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Stage = Literal["decode", "detect", "align", "embed", "search"]
Network = Literal["detector", "recogniser"]
Queue = Literal["workers", "gallery", "detector", "recogniser", "search"]
Dropped = Literal["cancelled", "deadline"]
Use = Literal["enrol", "query"]


@dataclass(frozen=True, slots=True)
class Load:
    """A queue at one moment: what runs, what waits, and how much of both there may be."""

    running: int
    waiting: int
    places: int


class Meters(Protocol):
    """Where the parts report to. Every call returns at once, raises nothing, and is thread-safe."""

    def stage(self, name: Stage, start: float, end: float) -> None:
        """One stage of one request took from `start` to `end`, in `perf_counter` seconds.

        Called in the request's context, so that a trace can place it.
        """

    def waited(self, queue: Queue, seconds: float) -> None:
        """Something waited so long in a queue before it was begun."""

    def dropped(self, queue: Queue, why: Dropped) -> None:
        """Something left a queue without having been begun."""

    def batch(self, network: Network, items: int) -> None:
        """A network ran once on so many items."""

    def undecodable(self, cause: str) -> None:
        """A photo could not be decoded; `cause` is the class of the decoder's own error."""

    def judged(self, use: Use, norm: float, score: float | None, reasons: Sequence[str]) -> None:
        """A face's quality: the feature's norm, 0–100 where there is a curve, why it is poor."""

    def searched(self, top: float, found: bool) -> None:
        """A face was looked for, and the nearest was this similar; whether anybody was found."""


class Silent:
    """Reports go nowhere: commands and tests."""

    def stage(self, name: Stage, start: float, end: float) -> None: ...
    def waited(self, queue: Queue, seconds: float) -> None: ...
    def dropped(self, queue: Queue, why: Dropped) -> None: ...
    def batch(self, network: Network, items: int) -> None: ...
    def undecodable(self, cause: str) -> None: ...
    def judged(
        self, use: Use, norm: float, score: float | None, reasons: Sequence[str]
    ) -> None: ...
    def searched(self, top: float, found: bool) -> None: ...


SILENT: Meters = Silent()
