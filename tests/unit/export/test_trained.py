"""What is read from a run's directory."""

import shutil
from pathlib import Path

import pytest
import torch

from export.trained import TrainedRun, read_run
from models.train.checkpoint import CheckpointError, checkpoints, read_checkpoint


def test_the_averaged_weights_are_read_and_the_run_is_known(
    trained: TrainedRun, run_directory: Path
) -> None:
    assert (trained.weights, trained.step) == ("averaged", 20)
    assert trained.provenance["data"]["licence"] == "CC0-1.0"
    assert not trained.backbone.training
    kept = read_checkpoint(checkpoints(run_directory / "checkpoints")[-1]).tensors
    for name, value in trained.backbone.state_dict().items():
        assert torch.equal(value, kept[f"ema.{name}"])
    assert not torch.equal(kept["ema.output.3.weight"], kept["backbone.output.3.weight"])


def test_a_directory_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint: train it first"):
        read_run(tmp_path)


def test_a_checkpoint_of_another_backbone_is_refused(run_directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run_directory, copy)
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(config.replace('"width": 0.125', '"width": 0.5'))
    with pytest.raises(CheckpointError, match="not of the config's backbone"):
        read_run(copy)
