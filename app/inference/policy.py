"""How the machine is used: threads, batches and devices, chosen once at the start, and said.

On a CPU: as many workers as cores, each with one photo, on sessions of one thread that all share.
Measured against dynamic batches and against sessions of many threads it had the highest throughput
and the lowest p95 (two cores, MobileFaceNet and IResNet-50 sizes). On GPUs: batches gathered across
requests, and enough workers to prepare two of them for each device.
"""

import os
from dataclasses import dataclass
from typing import Literal

from app.inference.gathering import Gathering
from app.inference.runtime import Runtime
from app.inference.session import FIRST_GPU, Cuda
from app.settings import Settings
from app.telemetry.meters import SILENT, Meters

GPU_BATCH = 32
"""Images a run on a GPU, where the settings do not say."""


BUILDING = 900.0
"""Seconds that TensorRT may spend in one run, building an engine."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """How, and on which devices, the networks' runs are gathered."""

    options: Gathering
    places: tuple[Cuda, ...]
    meters: Meters = SILENT


@dataclass(frozen=True, slots=True)
class Policy:
    """`gathering` is None where each worker runs the networks itself."""

    runtime: Runtime
    gathering: Gathering | None = None
    places: tuple[Cuda, ...] = (FIRST_GPU,)

    def gathered(self, meters: Meters) -> Gathered | None:
        """What the networks are opened with."""
        if self.gathering is None:
            return None
        return Gathered(self.gathering, self.places, meters)

    def describe(self) -> str:
        """For the log, at the start."""
        runtime = self.runtime
        if self.gathering is None:
            on = f"{runtime.device} in {runtime.arithmetic}"
            return f"{runtime.workers} workers, one photo each, no batching, on {on}"
        where = ", ".join(str(place.number) for place in self.places)
        on = runtime.device if runtime.device == "cpu" else f"{_engine(self.places[0])} {where}"
        return f"{runtime.workers} workers, batches of up to {self.gathering.most}, on {on}"


def choose(settings: Settings) -> Policy:
    """The policy for these settings, on this machine."""
    gpu = settings.device == "cuda"
    cores = os.cpu_count() or 1
    most = settings.batch or (GPU_BATCH if gpu else 1)
    if most == 1 and not gpu:
        return Policy(Runtime("cpu", settings.arithmetic, settings.workers or cores))
    cache = settings.data_dir / "tensorrt"
    numbers = settings.gpus if gpu else (0,)
    places = tuple(Cuda(n, settings.tensorrt, settings.cuda_graphs, cache) for n in numbers)
    workers = settings.workers or cores + 2 * most * len(places)
    stall = BUILDING if settings.tensorrt else settings.stall
    runtime = Runtime(settings.device, settings.arithmetic, workers)
    return Policy(runtime, Gathering(most, stall, powers_of_two=gpu), places)


def _engine(place: Cuda) -> Literal["TensorRT on cuda", "cuda"]:
    return "TensorRT on cuda" if place.tensorrt else "cuda"
