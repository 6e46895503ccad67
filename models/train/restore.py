"""A finished or running run from its directory: what evaluation and export start from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.backbones import Backbone
from models.train.build import build_backbone
from models.train.checkpoint import CheckpointError, checkpoints, read_checkpoint
from models.train.config import TrainingConfig
from models.train.directory import read_config, read_provenance


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """The newest checkpoint of a run. The backbone is on the CPU, in evaluation mode."""

    config: TrainingConfig
    provenance: dict[str, Any]
    step: int
    backbone: Backbone


def load_run(directory: Path, *, averaged: bool = True) -> TrainedRun:
    """Load a run's backbone: the averaged weights, where it keeps any and `averaged` is true.

    Raises CheckpointError when the directory holds no whole checkpoint.
    """
    found = checkpoints(directory / "checkpoints")
    if not found:
        raise CheckpointError(f"{directory} holds no checkpoint.")
    checkpoint, config = read_checkpoint(found[-1]), read_config(directory)
    part = "ema." if averaged and config.ema_decay > 0 else "backbone."
    weights = {
        name.removeprefix(part): value
        for name, value in checkpoint.tensors.items()
        if name.startswith(part)
    }
    backbone = build_backbone(config.backbone)
    backbone.load_state_dict(weights)
    return TrainedRun(config, read_provenance(directory), checkpoint.step, backbone.eval())
