from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.data.source import Labels
from models.train import (
    BackboneConfig,
    DataConfig,
    LossConfig,
    OptimiserConfig,
    ScheduleConfig,
    SystemConfig,
    TrainingConfig,
)

MakeConfig = Callable[..., TrainingConfig]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def encode(seed: int) -> bytes:
    """A colourful, smooth picture as JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (14, 14, 3), dtype=np.uint8)
    _, encoded = cv2.imencode(".jpg", cv2.resize(coarse, (112, 112)))
    return encoded.tobytes()


@dataclass(frozen=True, slots=True)
class Faces:
    """Four identities of three images each, in memory."""

    images: tuple[bytes, ...] = tuple(encode(seed) for seed in range(12))
    classes: tuple[str, ...] = ("ann", "bob", "cyd", "dan")

    @property
    def labels(self) -> Labels:
        return np.repeat(np.arange(4), 3)

    def read(self, index: int) -> bytes:
        return self.images[index]


@pytest.fixture(scope="session")
def faces() -> Faces:
    return Faces()


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """A config that takes a tenth of a second per step; keywords replace whole fields."""

    def make(**changes: object) -> TrainingConfig:
        config = TrainingConfig(
            recipe="test",
            run=str(tmp_path / "run"),
            backbone=BackboneConfig(name="mobilefacenet", dim=16, parameters={"width": 0.125}),
            loss=LossConfig(name="cosface", parameters={"scale": 16.0, "margin": 0.2}),
            data=DataConfig(paths=("memory",), name="pictures", licence="ours"),
            optimiser=OptimiserConfig(lr=0.05),
            schedule=ScheduleConfig(steps=4, warmup=0.3),
            system=SystemConfig(
                device="cpu", workers=0, log_every=1, checkpoint_every=1000, keep=2
            ),
            batch_size=4,
            seed=7,
        )
        return replace(config, **changes)  # type: ignore[arg-type]

    return make
