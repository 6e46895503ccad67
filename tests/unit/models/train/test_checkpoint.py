import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.train.checkpoint import (
    META,
    TENSORS,
    Checkpoint,
    CheckpointError,
    checkpoints,
    read_checkpoint,
    write_checkpoint,
)


def checkpoint(step: int) -> Checkpoint:
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3) + step, "a.count": torch.tensor(step)}
    return Checkpoint(step, tensors, {"ranks": 2, "scale": 0.1 + 0.2})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, checkpoint(12), keep=2)
    read = read_checkpoint(path)
    assert read.step == 12
    assert read.meta == {"ranks": 2, "scale": 0.1 + 0.2}
    assert read.tensors.keys() == {"a.weight", "a.count"}
    assert torch.equal(read.tensors["a.weight"], checkpoint(12).tensors["a.weight"])
    assert read.tensors["a.count"].dtype == torch.int64


def test_any_memory_format_can_be_saved(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    path = write_checkpoint(
        tmp_path, Checkpoint(1, {"w": weight, "t": weight.transpose(0, 1)}, {}), keep=1
    )
    assert torch.equal(read_checkpoint(path).tensors["w"], weight)


def test_only_the_newest_stay(tmp_path: Path) -> None:
    for step in (1, 2, 10, 9999):
        write_checkpoint(tmp_path, checkpoint(step), keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000000010", "step-000009999"]


def test_what_a_crash_left_half_written_is_no_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint(1), keep=2)
    half = tmp_path / ".step-000000002.partial"
    half.mkdir()
    (half / TENSORS).write_bytes(b"half")
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000000001"]
    write_checkpoint(tmp_path, checkpoint(2), keep=2)
    assert not half.exists()
    assert read_checkpoint(checkpoints(tmp_path)[-1]).step == 2


def flip_a_bit(path: Path) -> None:
    data = bytearray((path / TENSORS).read_bytes())
    data[-3] ^= 1
    (path / TENSORS).write_bytes(bytes(data))


def edit(**changes: object) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        meta = json.loads((path / META).read_text())
        (path / META).write_text(json.dumps({**meta, **changes}))

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, "digest differs"),
        (lambda path: (path / TENSORS).write_bytes(b""), "digest differs"),
        (lambda path: (path / TENSORS).unlink(), "lacks state.safetensors"),
        (lambda path: (path / META).unlink(), "not a checkpoint"),
        (lambda path: (path / META).write_text("{"), "not a checkpoint"),
        (lambda path: (path / META).write_text("[]"), "not a checkpoint of this trainer"),
        (edit(format="other"), "not a checkpoint of this trainer"),
        (edit(version=99), "has version 99; this trainer reads 1"),
    ],
)
def test_damaged_and_foreign_checkpoints_are_refused(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    path = write_checkpoint(tmp_path, checkpoint(1), keep=1)
    damage(path)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)
