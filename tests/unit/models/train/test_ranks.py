import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.data.source import FaceSource
from models.train import LossConfig, ScheduleConfig, TrainingConfig, train
from models.train.build import batch_order
from models.train.checkpoint import Checkpoint, checkpoints, read_checkpoint
from models.train.journal import read_log
from models.train.values import to_json
from models.train.world import World

MakeConfig = Callable[..., TrainingConfig]
ROOT = Path(__file__).parents[4]
SCRIPT = Path(__file__).with_name("ranks.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def start(*arguments: str, launcher: Sequence[str] = TORCHRUN) -> None:
    done = subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def newest(directory: Path) -> Checkpoint:
    return read_checkpoint(checkpoints(directory)[-1])


def with_folder(config: TrainingConfig, faces: FaceSource, tmp_path: Path) -> TrainingConfig:
    """The same faces as files, for other processes."""
    for index, label in enumerate(faces.labels):
        folder = tmp_path / "faces" / faces.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index}.jpg").write_bytes(faces.read(index))
    return replace(config, data=replace(config.data, paths=(str(tmp_path / "faces"),)))


def test_two_ranks_compute_what_one_would(tmp_path: Path) -> None:
    """Weights, moments and averages, with the classes on every rank and spread over them."""
    start("steps", str(tmp_path / "two"))
    start("steps", str(tmp_path / "one"), launcher=[])
    alone = newest(tmp_path / "one" / "0.0").tensors
    for partial_fc in ("0.0", "1.0"):
        shared = newest(tmp_path / "two" / partial_fc).tensors
        assert shared.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(shared[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_a_run_goes_on_with_another_number_of_ranks(
    make_config: MakeConfig, faces: FaceSource, tmp_path: Path
) -> None:
    """One rank, then two, then one. With a learning rate of 0, what is restored is saved again."""
    config = make_config(loss=LossConfig(name="cosface", partial_fc=0.5))
    config = with_folder(config, faces, tmp_path)
    config = replace(config, optimiser=replace(config.optimiser, lr=0.0))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(to_json(config)))
    directory = Path(config.run) / "checkpoints"
    train(config, stop_at=1)
    saved = [newest(directory)]
    start("run", str(path), "2")
    saved.append(newest(directory))
    train(config, stop_at=3)
    saved.append(newest(directory))
    assert [checkpoint.meta["ranks"] for checkpoint in saved] == [1, 2, 1]
    assert [entry["step"] for entry in read_log(Path(config.run))] == [1, 2, 3]
    weights = [checkpoint.tensors["loss.weight"] for checkpoint in saved]
    assert weights[0].shape == (4, 16)
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_saves_before_it_ends(
    make_config: MakeConfig, faces: FaceSource, tmp_path: Path, number: signal.Signals
) -> None:
    """As a terminal's Ctrl-C does: the loader's workers receive the signal too."""
    config = with_folder(make_config(), faces, tmp_path)
    config = replace(
        config,
        schedule=ScheduleConfig(steps=100_000),
        system=replace(config.system, workers=2, checkpoint_every=100_000),
    )
    path = tmp_path / "config.json"
    path.write_text(json.dumps(to_json(config)))
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "run", str(path), "100000"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    while not read_log(Path(config.run)) and process.poll() is None:
        time.sleep(0.1)
    os.killpg(process.pid, number)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    steps = [int(entry["step"]) for entry in read_log(Path(config.run))]
    assert newest(Path(config.run) / "checkpoints").step == steps[-1]


def test_ranks_must_share_a_batch_equally(make_config: MakeConfig, faces: FaceSource) -> None:
    three = World(rank=0, num_ranks=3, device=torch.device("cpu"))
    with pytest.raises(ValueError, match="batch_size=4 cannot be shared equally by 3 ranks"):
        batch_order(make_config(), faces, three)
