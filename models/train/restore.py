"""A finished or running run from its directory: what evaluation and export start from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.backbones import Backbone
from models.train.build import build_backbone
from models.train.checkpoint import CheckpointError, checkpoints, load_module, part, read_checkpoint
from models.train.config import TrainingConfig
from models.train.directory import read_config, read_provenance


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """The newest checkpoint of a run. The backbone is on the CPU, in evaluation mode."""

    backbone: Backbone
    config: TrainingConfig
    provenance: dict[str, Any]
    step: int
    weights: Literal["averaged", "last"]


def load_run(directory: Path, *, averaged: bool = True) -> TrainedRun:
    """Load a run's backbone: the averaged weights, where it keeps any and `averaged` is true.

    Raises CheckpointError when the directory holds no whole checkpoint.
    """
    found = checkpoints(directory / "checkpoints")
    if not found:
        raise CheckpointError(f"{directory} holds no checkpoint.")
    checkpoint, config = read_checkpoint(found[-1]), read_config(directory)
    averaged = averaged and config.ema_decay > 0
    state = part(checkpoint, "ema" if averaged else "backbone")
    backbone = build_backbone(config.backbone)
    load_module("backbone", backbone, state)
    return TrainedRun(
        backbone=backbone.eval(),
        config=config,
        provenance=read_provenance(directory),
        step=checkpoint.step,
        weights="averaged" if averaged else "last",
    )
