"""A tiny training run on made-up people and a small calibration, for everything that exports."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from export.calibrate.labels import Attempts, LabelledFeatures, Measures
from export.calibrate.photos import Extraction
from export.calibrate.run import Outcome, run
from export.calibrate.table import Plan
from export.onnx import to_onnx
from export.quality.record import QualityPlan
from export.trained import TrainedRun, read_run
from models.train.config import (
    BackboneConfig,
    DataConfig,
    LossConfig,
    OptimiserConfig,
    ScheduleConfig,
    SystemConfig,
    TrainingConfig,
)
from models.train.run import train

PEOPLE, PHOTOS = 24, 6


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def draw_person(person: int) -> NDArray[np.uint8]:
    """Crops (PHOTOS, 112, 112, 3) of one made-up person: one pattern, moved, lit and grained."""
    random = np.random.default_rng(person)
    pattern = cv2.resize(random.random((7, 7, 3)), (112, 112), interpolation=cv2.INTER_CUBIC)
    photos = []
    for _ in range(PHOTOS):
        moved = np.roll(pattern, random.integers(-6, 7, 2), axis=(0, 1))
        lit = moved * random.uniform(0.6, 1.1) + random.normal(0, 0.06, moved.shape)
        photos.append(np.clip(lit * 255, 0, 255).astype(np.uint8))
    return np.stack(photos)


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of aligned crops, PERSON/PHOTO.png."""
    root = tmp_path_factory.mktemp("people")
    for person in range(PEOPLE):
        (root / f"p{person:02d}").mkdir()
        for number, photo in enumerate(draw_person(person)):
            cv2.imwrite(str(root / f"p{person:02d}" / f"{number}.png"), photo[..., ::-1])
    return root


@pytest.fixture(scope="session")
def run_directory(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a few steps, with a moving average and held-out people."""
    directory = tmp_path_factory.mktemp("runs") / "tiny"
    config = TrainingConfig(
        recipe="tiny",
        run=str(directory),
        backbone=BackboneConfig(name="mobilefacenet", dim=32, parameters={"width": 0.125}),
        loss=LossConfig(name="arcface"),
        data=DataConfig(
            paths=(str(people),), name="made-up people", licence="CC0-1.0", hold_out=0.3
        ),
        optimiser=OptimiserConfig(lr=0.05),
        schedule=ScheduleConfig(steps=20),
        system=SystemConfig(device="cpu", workers=0, threads=1),
        batch_size=24,
        ema_decay=0.9,
    )
    train(config)
    return directory


@pytest.fixture(scope="session")
def trained(run_directory: Path) -> TrainedRun:
    """What the run left."""
    return read_run(run_directory)


@pytest.fixture(scope="session")
def model(trained: TrainedRun) -> bytes:
    """The run's backbone as ONNX, before any rewrite."""
    return to_onnx(trained.backbone)


@pytest.fixture(scope="session")
def crops() -> NDArray[np.uint8]:
    """Crops (60, 112, 112, 3) of ten people that the run did not see."""
    return np.concatenate([draw_person(person) for person in range(100, 110)])


@pytest.fixture(scope="session")
def subjects() -> NDArray[np.int64]:
    """Whose each of `crops` is."""
    return np.repeat(np.arange(10), PHOTOS)


@pytest.fixture(scope="session")
def outcome() -> Outcome:
    """300 people in two groups; the norm tells the noise of each photo."""
    random = np.random.default_rng(0)
    codes = np.repeat(np.arange(300, dtype=np.int32), 2)
    noise = random.uniform(0.3, 1.6, len(codes)).astype(np.float32)
    raw = random.standard_normal((300, 24))[codes]
    raw = raw + noise[:, None] * random.standard_normal(raw.shape)
    raw *= (30 - 10 * noise[:, None]) / np.linalg.norm(raw, axis=1, keepdims=True)
    features = LabelledFeatures(
        "c1-test", raw.astype(np.float32), codes, tuple(map(str, range(600))), Attempts(605, 2, 3),
        Measures(noise, noise, noise), np.array(["<left>", "right"])[codes % 2],
    )  # fmt: skip
    return run(Extraction(features, None), Plan("people & photos", "det"), QualityPlan("people"))
