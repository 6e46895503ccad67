"""Where the time goes: images per second, and the share spent waiting for data."""

import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Throughput:
    """Over one window of steps. wait_share: of the time, in [0, 1]."""

    images_per_second: float
    wait_share: float


class Meter:
    """Accumulates between two readings."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Begin a window now."""
        self._images = 0
        self._waited = 0.0
        self._since = self._clock()

    def waited(self, seconds: float) -> None:
        """Time in which the trainer stood still for want of a batch."""
        self._waited += seconds

    def trained(self, images: int) -> None:
        """Images, over all ranks, of a finished step."""
        self._images += images

    def read(self) -> Throughput:
        """Figures since the last reading, which starts a new window."""
        elapsed = max(self._clock() - self._since, 1e-9)
        throughput = Throughput(self._images / elapsed, self._waited / elapsed)
        self.restart()
        return throughput
