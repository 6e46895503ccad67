import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models import losses
from models.backbones import Backbone
from models.data.source import FaceSource
from models.train import (
    CheckpointError,
    LossConfig,
    NonFiniteError,
    TrainingConfig,
    load_run,
    train,
)
from models.train.checkpoint import checkpoints, read_checkpoint
from models.train.directory import claim
from models.train.journal import read_log
from models.train.report import Silent

MakeConfig = Callable[..., TrainingConfig]
ANNEALED = [preset.name for preset in losses.presets() if "anneal" in preset.parameters]


def config_for(make_config: MakeConfig, loss: str, **changes: object) -> TrainingConfig:
    """Pair losses get pairs; the rest of the recipe is the same for all."""
    config = make_config(loss=LossConfig(name=loss), **changes)
    per_identity = 2 if loss.startswith("circle_pair") else 0
    return replace(config, data=replace(config.data, per_identity=per_identity))


def final(config: TrainingConfig) -> dict[str, Tensor]:
    return read_checkpoint(checkpoints(Path(config.run) / "checkpoints")[-1]).tensors


def assert_bit_equal(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert not different


@pytest.mark.filterwarnings("ignore:lambda_g")
@pytest.mark.parametrize("loss", [*losses.names(), *ANNEALED])
def test_a_resumed_run_is_the_uninterrupted_one(
    make_config: MakeConfig, faces: FaceSource, tmp_path: Path, loss: str
) -> None:
    """2 + 2 steps equal 4, over an epoch's end, in every tensor and every logged loss."""
    whole = config_for(make_config, loss, ema_decay=0.9, run=str(tmp_path / "whole"))
    parts = replace(whole, run=str(tmp_path / "parts"))
    train(whole, source=faces)
    assert train(parts, source=faces, stop_at=2).step == 2
    torch.rand(100)  # what happens between the two must not matter
    assert train(parts, source=faces).finished
    assert_bit_equal(final(whole), final(parts))
    logged = [[entry["loss"] for entry in read_log(Path(c.run))] for c in (whole, parts)]
    assert len(logged[0]) == 4
    assert logged[0] == logged[1]


def test_a_resumed_run_restores_the_scaler(
    make_config: MakeConfig, faces: FaceSource, tmp_path: Path
) -> None:
    whole = make_config(precision="fp16", run=str(tmp_path / "whole"))
    parts = replace(whole, run=str(tmp_path / "parts"))
    train(whole, source=faces)
    train(parts, source=faces, stop_at=2)
    train(parts, source=faces)
    assert_bit_equal(final(whole), final(parts))
    scalers = [
        read_checkpoint(checkpoints(Path(c.run) / "checkpoints")[-1]).meta["scaler"]
        for c in (whole, parts)
    ]
    assert scalers[0] == scalers[1]
    assert scalers[0]["scale"] > 0


def test_adamw_resumes_bit_equal(
    make_config: MakeConfig, faces: FaceSource, tmp_path: Path
) -> None:
    config = make_config(run=str(tmp_path / "whole"))
    whole = replace(config, optimiser=replace(config.optimiser, kind="adamw", decay_vectors=False))
    parts = replace(whole, run=str(tmp_path / "parts"))
    train(whole, source=faces)
    train(parts, source=faces, stop_at=3)
    train(parts, source=faces)
    assert_bit_equal(final(whole), final(parts))


def test_the_seed_is_the_run(make_config: MakeConfig, faces: FaceSource, tmp_path: Path) -> None:
    runs = [make_config(run=str(tmp_path / str(n)), seed=seed) for n, seed in enumerate((1, 1, 2))]
    first, again, other = [train(config, source=faces).loss for config in runs]
    assert first == again
    assert first != other


def test_training_recognises_its_identities(make_config: MakeConfig, faces: FaceSource) -> None:
    config = make_config()
    config = replace(config, schedule=replace(config.schedule, steps=25), batch_size=8)
    train(config, source=faces)
    entries = read_log(Path(config.run))
    assert entries[-1]["loss"] < 0.6 * entries[0]["loss"]
    assert entries[-1]["loss/target_score_mean"] > 0.3


def test_a_run_directory_says_what_it_is(make_config: MakeConfig, faces: FaceSource) -> None:
    config = make_config(ema_decay=0.9)
    result = train(config, source=faces)
    run = load_run(result.directory)
    assert run.step == 4
    assert run.config.loss == config.loss
    assert run.config.backbone.parameters["norm_head"] == "frozen_bn"
    assert run.provenance["data"]["name"] == "pictures"
    assert run.provenance["data"]["licence"] == "ours"
    assert run.provenance["data"]["images"] == 12
    assert run.provenance["data"]["identities"] == 4
    assert not run.backbone.training
    assert run.weights == "averaged"
    tensors, plain = final(config), load_run(result.directory, averaged=False)
    assert torch.equal(run.backbone.state_dict()["output.1.weight"], tensors["ema.output.1.weight"])
    for name, value in plain.backbone.state_dict().items():
        assert torch.equal(value, tensors[f"backbone.{name}"])


def test_a_run_can_start_from_another(
    make_config: MakeConfig, faces: FaceSource, tmp_path: Path
) -> None:
    first = make_config(run=str(tmp_path / "first"))
    train(first, source=faces)
    still = replace(
        make_config(run=str(tmp_path / "second")),
        backbone=replace(first.backbone, init=first.run),
        optimiser=replace(first.optimiser, lr=0.0),
    )
    train(still, source=faces)
    start, end = final(first), final(still)
    filters = [n for n, v in start.items() if n.startswith("backbone.") and v.ndim == 4]
    assert filters
    assert all(torch.equal(start[name], end[name]) for name in filters)


class Interrupter(Silent):
    """Sends a signal to its own process after a step, as Ctrl-C or an orchestrator would."""

    def __init__(self, number: signal.Signals, step: int) -> None:
        self.number, self.step = number, step

    def advance(self, step: int) -> None:
        if step == self.step:
            signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_goes_on(
    make_config: MakeConfig, faces: FaceSource, tmp_path: Path, number: signal.Signals
) -> None:
    whole = make_config(run=str(tmp_path / "whole"))
    parts = replace(whole, run=str(tmp_path / "parts"))
    train(whole, source=faces)
    handler = signal.getsignal(number)
    result = train(parts, source=faces, observer=Interrupter(number, step=1))
    assert (result.signal, result.finished) == (number, False)
    assert result.step < 4
    assert signal.getsignal(number) == handler
    assert train(parts, source=faces).finished
    assert_bit_equal(final(whole), final(parts))


def test_a_second_interruption_does_not_wait(make_config: MakeConfig, faces: FaceSource) -> None:
    class Twice(Silent):
        def advance(self, step: int) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(make_config(), source=faces, observer=Twice())


def test_divergence_stops_the_run_and_keeps_the_last_good_state(
    make_config: MakeConfig, faces: FaceSource
) -> None:
    config = make_config()
    config = replace(
        config,
        optimiser=replace(config.optimiser, lr=1e30, clip_norm=0.0),
        loss=LossConfig(name="softmax"),
        system=replace(config.system, checkpoint_every=1),
    )
    with pytest.raises(NonFiniteError, match="stopped before the optimiser"):
        train(config, source=faces)
    saved = read_checkpoint(checkpoints(Path(config.run) / "checkpoints")[-1])
    assert 0 < saved.step < 4


def test_a_directory_of_another_run_is_refused(make_config: MakeConfig, faces: FaceSource) -> None:
    config = make_config()
    train(config, source=faces, stop_at=1)
    other = replace(config, seed=8, optimiser=replace(config.optimiser, lr=0.1))
    with pytest.raises(CheckpointError, match=r"optimiser\.lr: 0\.05 there, 0\.1 now; seed: 7"):
        train(other, source=faces)


def test_the_machine_may_change_between_the_halves(
    make_config: MakeConfig, faces: FaceSource
) -> None:
    config = make_config()
    train(config, source=faces, stop_at=1)
    moved = replace(
        config,
        system=replace(config.system, log_every=2, channels_last=False),
        data=replace(config.data, paths=("elsewhere",), cache_mb=0),
    )
    assert train(moved, source=faces).finished


def test_other_images_are_refused(make_config: MakeConfig, faces: FaceSource) -> None:
    config = make_config()
    train(config, source=faces, stop_at=1)
    with pytest.raises(CheckpointError, match="trained on other images"):
        train(config, source=replace(faces, classes=("ann", "bob", "cyd", "eve")))


def test_a_damaged_checkpoint_is_refused(make_config: MakeConfig, faces: FaceSource) -> None:
    config = make_config()
    result = train(config, source=faces, stop_at=1)
    path = checkpoints(result.directory / "checkpoints")[-1] / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(CheckpointError, match="digest differs"):
        train(config, source=faces)


def test_two_processes_cannot_train_in_one_directory(
    make_config: MakeConfig, faces: FaceSource
) -> None:
    config = make_config()
    message = "another process is training in"
    with claim(Path(config.run)), pytest.raises(CheckpointError, match=message):
        train(config, source=faces)


def test_a_finished_run_stays_finished(make_config: MakeConfig, faces: FaceSource) -> None:
    config = make_config()
    train(config, source=faces)
    before = final(config)
    again = train(config, source=faces)
    assert (again.finished, again.step) == (True, 4)
    assert np.isnan(again.loss)
    assert_bit_equal(before, final(config))


def test_evaluation_is_logged_and_changes_nothing(
    make_config: MakeConfig, faces: FaceSource, tmp_path: Path
) -> None:
    seen: list[tuple[int, bool]] = []

    def evaluate(backbone: Backbone, step: int) -> dict[str, float]:
        seen.append((step, backbone.training))
        torch.rand(7)
        return {"auc": step / 10}

    watched, alone = (make_config(run=str(tmp_path / name), ema_decay=0.9) for name in "ab")
    watched = replace(watched, system=replace(watched.system, checkpoint_every=2))
    train(watched, source=faces, evaluate=evaluate)
    train(alone, source=faces)
    assert seen == [(2, False), (4, False)]
    assert [e["auc"] for e in read_log(Path(watched.run)) if "auc" in e] == [0.2, 0.4]
    assert_bit_equal(final(watched), final(alone))


def test_the_log_can_be_plotted(make_config: MakeConfig, faces: FaceSource) -> None:
    config = make_config(loss=LossConfig(name="magface"))
    train(config, source=faces)
    entry = json.loads((Path(config.run) / "log.jsonl").read_text().splitlines()[0])
    assert entry.keys() >= {
        "step",
        "time",
        "loss",
        "lr",
        "epoch",
        "gradient_norm",
        "images_per_second",
        "data_wait_share",
        "loss/norm_mean",
    }


def test_pair_losses_need_whole_groups(make_config: MakeConfig, faces: FaceSource) -> None:
    config = make_config()
    with pytest.raises(
        ValueError, match=r"batch_size=4 is not whole groups of data\.per_identity=3"
    ):
        train(replace(config, data=replace(config.data, per_identity=3)), source=faces)


def test_cuda_that_is_not_there_is_an_error(make_config: MakeConfig, faces: FaceSource) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    config = make_config()
    with pytest.raises(ValueError, match="sees no CUDA device"):
        train(replace(config, system=replace(config.system, device="cuda")), source=faces)
