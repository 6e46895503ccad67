"""Which runtime computes a network, and in which arithmetic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from app.inference.openvino import Bfloat16Network
from app.inference.session import FIRST_GPU, Cuda, Device, Network, Session
from export import golden

Arithmetic = Literal["float32", "bfloat16"]
Outputs = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Runtime:
    """`workers` threads call at once. bfloat16 is of the CPU alone."""

    device: Device = "cpu"
    arithmetic: Arithmetic = "float32"
    workers: int = 1

    def exact(self) -> Self:
        """The same in float32."""
        return replace(self, arithmetic="float32")

    def output_problem(self, expected: Outputs, found: Outputs) -> str | None:
        """Why a detector's outputs do not reproduce the golden ones, or None where they do."""
        if self.arithmetic == "bfloat16":
            return golden.rough_output_problem(expected, found)
        return golden.output_problem(expected, found)

    def opening(
        self,
        read: Callable[[], bytes],
        inputs: str,
        outputs: Sequence[str],
        place: Cuda = FIRST_GPU,
    ) -> Callable[[], Network]:
        """Opens the network that `read` gives, as often as it is called. Raises StartError."""
        if self.arithmetic == "bfloat16":
            return lambda: Bfloat16Network(read(), inputs, outputs, self.workers)
        return lambda: Session(read(), inputs, outputs, self.device, place)


CPU = Runtime()
