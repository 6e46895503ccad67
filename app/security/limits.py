"""How often and how many at once: bounded in memory, on a monotonic clock. For one thread."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Clock = Callable[[], float]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on average, and so many at once after a pause."""

    per_second: float
    burst: int


class Pace(Generic[K]):
    """A token bucket for each name, as its virtual-scheduling twin (GCRA, ITU-T I.371, annex A):
    one number a name, the time at which its bucket is full again.

    Of more than `most` names those unheard of for longest are forgotten, which fills their bucket:
    to be forgotten early a name needs `most` others after it.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._full_at: OrderedDict[K, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, name: K, rate: Rate, count: int = 1) -> float:
        """0 where so many were there to take, else the seconds until there are; then none is taken.

        More than fit into a bucket count as a whole bucket: they are let through once it is full.
        """
        now = self._clock()
        full_at = max(self._full_at.get(name, now), now)
        step = 1 / rate.per_second
        taken = min(count, rate.burst)
        wait = full_at - now - (rate.burst - taken) * step
        if wait <= 0:
            self._full_at[name] = full_at + taken * step
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return max(wait, 0.0)


class AtOnce(Generic[K]):
    """Counts what runs under each name; holds only names with something running."""

    def __init__(self) -> None:
        self._running: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._running)

    def enter(self, name: K, most: int) -> bool:
        """Whether there was a place, which is taken now."""
        running = self._running.get(name, 0)
        if running >= most:
            return False
        self._running[name] = running + 1
        return True

    def leave(self, name: K) -> None:
        """Gives back one place that `enter` gave."""
        running = self._running[name] - 1
        if running:
            self._running[name] = running
        else:
            del self._running[name]
