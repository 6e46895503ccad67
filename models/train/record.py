"""What the first rank keeps and shows of a run; the other ranks keep nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from models.train.journal import Journal
from models.train.meter import Meter
from models.train.report import Observer, Silent
from models.train.world import World

# Above this share of the time the machine, not the model, decides how long a run takes.
WAIT_WARNING = 0.3


class Record:
    """Journal, observer and meter of a run."""

    def __init__(self, observer: Observer, journal: Journal | None) -> None:
        self.observer = observer
        self.meter = Meter()
        self._journal = journal
        self._starved_windows = 0

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Figures after `step` steps, to the journal and the observer."""
        if self._journal is not None:
            self._journal.write(step, figures)
        self.observer.figures(step, figures)

    def speed(self) -> dict[str, float]:
        """Figures of the time since the last call; says, once, when data is the bottleneck."""
        throughput = self.meter.read()
        self._warn(throughput.wait_share)
        return {
            "images_per_second": throughput.images_per_second,
            "data_wait_share": throughput.wait_share,
        }

    def _warn(self, wait_share: float) -> None:
        """Not for the first window, in which the workers start."""
        self._starved_windows += wait_share > WAIT_WARNING
        if wait_share > WAIT_WARNING and self._starved_windows == 2:
            self.observer.say(
                f"data is the bottleneck: {wait_share:.0%} of the time is spent waiting for "
                "images. Raise system.workers or data.cache_mb."
            )


@contextmanager
def recording(
    directory: Path, world: World, observer: Observer | None, first_step: int
) -> Iterator[Record]:
    """A record that goes on after `first_step` steps."""
    if not world.leads:
        yield Record(Silent(), None)
        return
    journal = Journal(directory, first_step)
    try:
        with observer or Silent() as shown:
            yield Record(shown, journal)
    finally:
        journal.close()
