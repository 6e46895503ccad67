"""Which runtime computes a network, and in which arithmetic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

from app.inference.openvino import Bfloat16Network
from app.inference.session import FIRST_GPU, Cuda, Device, Network, Session
from export.golden import MAX_NORM_DRIFT

BFLOAT16_DRIFT = 0.1
"""SCRFD-2.5G and -500M are off by 0.02 and 0.06 on the golden noise, a wrong network by far more;
what bfloat16 does to faces was measured apart (app/vision/detect.py)."""
Arithmetic = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """`workers` threads call at once. bfloat16 is of the CPU alone."""

    device: Device = "cpu"
    arithmetic: Arithmetic = "float32"
    workers: int = 1

    def exact(self) -> Self:
        """The same in float32."""
        return replace(self, arithmetic="float32")

    @property
    def output_drift(self) -> float:
        """By how much of its largest value a detector's golden output may be off."""
        return BFLOAT16_DRIFT if self.arithmetic == "bfloat16" else MAX_NORM_DRIFT

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
