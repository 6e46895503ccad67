"""Checkpoints on disk: a directory with `state.safetensors` and `state.json`, whole or not at all.

A checkpoint is written beside its place, flushed to the disk, and renamed into it; the JSON holds
the digest of the tensors, so that a damaged or foreign one is refused with the reason.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FORMAT = "norma-checkpoint"
VERSION = 1
TENSORS = "state.safetensors"
META = "state.json"
NAME = re.compile(r"step-(\d{9})")


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State by name: tensors, and what is not a tensor as JSON values. `step` steps are done."""

    step: int
    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def write_checkpoint(directory: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write `directory/step-…` atomically, remove all but the `keep` newest, return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    final = directory / f"step-{checkpoint.step:09d}"
    partial = directory / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()
    }
    save_file(tensors, partial / TENSORS)
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "step": checkpoint.step,
        "sha256": _digest(partial / TENSORS),
        **checkpoint.meta,
    }
    (partial / META).write_text(json.dumps(meta, indent=1))
    for path in (partial / TENSORS, partial / META, partial):
        _flush(path)
    partial.rename(final)
    _flush(directory)
    for old in checkpoints(directory)[:-keep]:
        shutil.rmtree(old)
    return final


def checkpoints(directory: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if NAME.fullmatch(path.name))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint to the CPU. Raises CheckpointError unless it is whole and ours."""
    meta = _read_meta(path)
    if not (path / TENSORS).is_file():
        raise CheckpointError(f"{path} lacks {TENSORS}.")
    if _digest(path / TENSORS) != meta.pop("sha256", None):
        raise CheckpointError(
            f"{path}: {TENSORS} is not what was saved (its digest differs). The disk or a copy "
            "damaged it: remove this checkpoint to go on from the one before."
        )
    try:
        tensors = load_file(path / TENSORS)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: {TENSORS} cannot be read: {error}.") from error
    return Checkpoint(meta.pop("step"), tensors, meta)


def part(checkpoint: Checkpoint, prefix: str) -> dict[str, Tensor]:
    """The tensors under `prefix.`, without it."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): value
        for name, value in checkpoint.tensors.items()
        if name.startswith(start)
    }


def load_module(what: str, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a module its state. Raises CheckpointError when it is that of another."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint holds another {what}: {error}") from error


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads((path / META).read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a checkpoint: {META} cannot be read.") from error
    if not isinstance(meta, dict) or meta.pop("format", None) != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this trainer.")
    if (version := meta.pop("version", None)) != VERSION:
        raise CheckpointError(f"{path} has version {version}; this trainer reads {VERSION}.")
    return meta


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
