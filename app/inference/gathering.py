"""Runs of one network gathered across requests: images of one shape go through it together.

For GPUs, where a batch costs little more than one image. There is no waiting for a batch to fill:
while one runs the next one gathers, so batches grow with the load and one image alone waits for
nobody. On CPUs this gains nothing (benchmarks/results) and is off.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import InferenceFailedError, InferenceInvalidError
from app.inference.crew import Crew
from app.inference.dispatch import Dispatcher
from app.inference.session import Network
from app.inference.turn import CURRENT, Clock, Turn
from app.telemetry.meters import SILENT, Load, Meters
from app.telemetry.meters import Network as NetworkName

Array = NDArray[np.float32]
Outputs = list[Array]
Split = Callable[[Sequence[Array], int], list[Outputs]]
"""A batch's outputs and its size → each image's outputs, as if it had been alone.

Raises InferenceInvalidError where they do not divide.
"""

MOST_WAITING = 100_000
"""Images that may wait for one network. What is computed at once is bounded by the workers, which
wait for the answers; this is their number times a photo's faces, and never reached."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """Up to `most` images a run; a run that takes longer than `stall` seconds is given up.

    With `powers_of_two` batches are filled up to 1, 2, 4 … `most`: few shapes, all of them known
    beforehand.
    """

    most: int
    stall: float
    powers_of_two: bool = False


def rows(outputs: Sequence[Array], batch: int) -> list[Outputs]:
    """The `Split` of networks whose outputs all have the batch in front."""
    if any(output.shape[:1] != (batch,) for output in outputs):
        shapes = [output.shape for output in outputs]
        raise InferenceInvalidError(f"{batch} images gave outputs of shapes {shapes}")
    return [[output[n : n + 1] for output in outputs] for n in range(batch)]


class GatheredNetwork:
    """A `Network` on one or more sessions of it: one thread and one batch at a time for each."""

    def __init__(
        self,
        sessions: Sequence[Network],
        split: Split,
        options: Gathering,
        name: NetworkName,
        meters: Meters = SILENT,
        clock: Clock = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._split = split
        self._options = options
        self._name: NetworkName = name
        self._meters = meters
        self._clock = clock
        self._met: set[tuple[int, ...]] = set()
        self._dispatcher: Dispatcher[Array, Outputs] = Dispatcher(
            MOST_WAITING, options.stall, clock, meters, name
        )
        most = options.most if all(session.batchable for session in sessions) else 1
        self._crew: Crew[Array, Outputs] = Crew(self._dispatcher, self._run, len(sessions), most)
        self.batchable = split is rows
        self.provider = sessions[0].provider

    @property
    def well(self) -> bool:
        return self._crew.well and all(session.well for session in self._sessions)

    def load(self) -> Load:
        """How many images are in a run and wait for one."""
        return self._dispatcher.load()

    def run(self, tensor_NCHW: Array) -> Outputs:
        """As `Session.run`; the images may go through in different batches, with others'.

        Raises InferenceFailedError or InferenceInvalidError where an image fails even alone,
        DeadlineError and NotReadyError as the engine does.
        """
        turn = CURRENT.get(None)
        if turn is None:
            turn = Turn("", math.inf)
            self._meet(tensor_NCHW.shape[1:])
        works = [(tensor_NCHW.shape[1:], tensor_NCHW[n : n + 1]) for n in range(len(tensor_NCHW))]
        tickets = self._dispatcher.join(works, turn)
        each = [ticket.future.result() for ticket in tickets]
        if len(each) == 1:
            return each[0]
        return [np.concatenate(parts) for parts in zip(*each, strict=True)]

    def _meet(self, shape: tuple[int, ...]) -> None:
        """A shape seen outside requests, at the start: each batch of it that there can be is run
        once, so that no request pays for a first run."""
        if not self._options.powers_of_two or shape in self._met:
            return
        self._met.add(shape)
        for size in sorted({self._size(count) for count in range(1, self._options.most + 1)}):
            for session in self._sessions:
                session.run(np.zeros((size, *shape), dtype=np.float32))

    def close(self) -> None:
        self._crew.close()

    def _run(self, number: int, images: Sequence[Array]) -> list[Any]:
        """Each image's outputs or error. Where a batch fails its halves are tried, so that only
        the culprits fail, after at most log₂ of the batch's size more runs for each of them."""
        try:
            return list(self._run_together(number, images))
        except Exception as error:
            if len(images) == 1:
                return [error]
        half = len(images) // 2
        return self._run(number, images[:half]) + self._run(number, images[half:])

    def _run_together(self, number: int, images: Sequence[Array]) -> list[Outputs]:
        count = len(images)
        batch = self._size(count)
        tensor = images[0] if batch == 1 else np.zeros((batch, *images[0].shape[1:]), np.float32)
        if batch > 1:
            np.concatenate(images, out=tensor[:count])
        outputs = self._sessions[number].run(tensor)
        self._meters.batch(self._name, count)
        each = self._split(outputs, batch)[:count]
        if len(each) != count:
            raise InferenceFailedError(f"{count} images gave {len(each)} answers")
        return each

    def _size(self, count: int) -> int:
        if not self._options.powers_of_two:
            return count
        return min(1 << (count - 1).bit_length(), self._options.most)
