"""A run's result: the backbone of its newest checkpoint and what is known about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.backbones import Backbone
from models.train.build import build_backbone
from models.train.checkpoint import Checkpoint, CheckpointError, checkpoints, read_checkpoint
from models.train.config import TrainingConfig
from models.train.directory import read_config, read_provenance

AVERAGED = "ema."
LAST = "backbone."


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A backbone in evaluation mode, and where it comes from.

    `weights`: "averaged" where the run kept a moving average, which is then what is exported.
    """

    backbone: Backbone
    config: TrainingConfig
    provenance: dict[str, Any]
    step: int
    weights: Literal["averaged", "last"]


def read_run(directory: Path) -> TrainedRun:
    """Read a run directory. Raises CheckpointError (a ValueError) where it is none, or has no
    checkpoint yet, or a damaged one."""
    found = checkpoints(directory / "checkpoints")
    if not found:
        raise CheckpointError(f"{directory} holds no checkpoint: train it first.")
    config, checkpoint = read_config(directory), read_checkpoint(found[-1])
    averaged = any(name.startswith(AVERAGED) for name in checkpoint.tensors)
    backbone = build_backbone(config.backbone)
    _load(backbone, checkpoint, AVERAGED if averaged else LAST)
    return TrainedRun(
        backbone=backbone.eval(),
        config=config,
        provenance=read_provenance(directory),
        step=checkpoint.step,
        weights="averaged" if averaged else "last",
    )


def _load(backbone: Backbone, checkpoint: Checkpoint, prefix: str) -> None:
    state = {
        name.removeprefix(prefix): value
        for name, value in checkpoint.tensors.items()
        if name.startswith(prefix)
    }
    try:
        backbone.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint is not of the config's backbone: {error}") from error
