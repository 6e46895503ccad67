"""What the tests of torchrun start on each rank: `steps FOLDER` or `run CONFIG.json STOP_AT`."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from models.backbones import Backbone
from models.data.batches import FaceBatch
from models.losses import PartialFC
from models.train import (
    BackboneConfig,
    DataConfig,
    LossConfig,
    ScheduleConfig,
    SystemConfig,
    TrainingConfig,
    train,
)
from models.train.build import build_loss
from models.train.checkpoint import write_checkpoint
from models.train.learner import Learner
from models.train.schedule import Schedule
from models.train.snapshot import capture
from models.train.values import from_json
from models.train.world import World, join_world

CONFIG = TrainingConfig(
    recipe="ranks",
    run="",
    backbone=BackboneConfig(name="linear", dim=8),
    loss=LossConfig(name="magface", parameters={"scale": 8.0, "l_a": 0.1, "u_a": 5.0}),
    data=DataConfig(),
    schedule=ScheduleConfig(steps=3),
    system=SystemConfig(device="cpu"),
    batch_size=4,
    ema_decay=0.9,
)


class Linear(Backbone):
    """No batch norm, whose statistics are per rank: ranks compute what one alone would."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Flatten(), nn.Linear(3 * 49, 8)), dim=8)

    def trunk(self, images_B3HW: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images_B3HW, 7)


def take_steps(world: World, partial_fc: float) -> Learner:
    """Three steps on this rank's share of three batches, from weights that all ranks know."""
    generator = torch.Generator().manual_seed(5)
    torch.manual_seed(3)
    config = replace(CONFIG, loss=replace(CONFIG.loss, partial_fc=partial_fc))
    loss = build_loss(config.loss, dim=8, num_classes=5)
    weight_CD = torch.randn(5, 8, generator=generator)
    if isinstance(loss, PartialFC):
        loss.load_full_state({"weight": weight_CD})
    else:
        loss.load_state_dict({"weight": weight_CD})
    torch.manual_seed(3)
    learner = Learner(config, Linear(), loss, Schedule(config.schedule, 3), world)
    share = slice(world.rank * 4 // world.num_ranks, (world.rank + 1) * 4 // world.num_ranks)
    for _ in range(3):
        images = torch.randint(0, 256, (4, 14, 14, 3), dtype=torch.uint8, generator=generator)
        labels = torch.randint(0, 5, (4,), generator=generator)
        learner.train_step(FaceBatch(images[share], labels[share]))
    return learner


def save_steps(folder: Path) -> None:
    """The state after the steps, of the plain loss and of Partial FC."""
    with join_world(CONFIG.system) as world:
        for partial_fc in (0.0, 1.0):
            checkpoint = capture(take_steps(world, partial_fc), {})
            if world.leads:
                write_checkpoint(folder / str(partial_fc), checkpoint, keep=1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, path, *rest = sys.argv[1:]
    if what == "steps":
        save_steps(Path(path))
    else:
        config = from_json(TrainingConfig, json.loads(Path(path).read_text()))
        train(config, stop_at=int(rest[0]))
    # The work is done and written. PyTorch's gloo threads can still abort the interpreter's own end
    # (PyTorch pull request 179291), which is not what is tested here.
    os._exit(0)
