"""A run's directory: config.json, provenance.json, checkpoints/, log.jsonl, tensorboard/.

Starting a run whose directory holds checkpoints goes on with it, if it is the same run.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.train.checkpoint import Checkpoint, CheckpointError, checkpoints, read_checkpoint
from models.train.config import TrainingConfig
from models.train.values import from_json, to_json

CONFIG = "config.json"
PROVENANCE = "provenance.json"
# What may differ between the two halves of one run.
FREE = ("run", "system.", "data.paths", "data.verification", "data.cache_mb")


@contextmanager
def claim(directory: Path) -> Iterator[None]:
    """Be the only one to train in a directory. Raises CheckpointError when another process does."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(f"another process is training in {directory}.") from error
        yield


def resumable(config: TrainingConfig, provenance: dict[str, Any]) -> Checkpoint | None:
    """The checkpoint that a run goes on from, if its directory holds one.

    Raises CheckpointError when the directory holds another run, or its checkpoint is of other
    data: the message lists the differences.
    """
    directory = Path(config.run)
    found = checkpoints(directory / "checkpoints")
    if found:
        _same_run(config, read_config(directory), directory)
    checkpoint = read_checkpoint(found[-1]) if found else None
    if checkpoint is not None:
        _same_data(checkpoint, provenance, found[-1])
    return checkpoint


def write_description(config: TrainingConfig, provenance: dict[str, Any]) -> None:
    """Write config.json and provenance.json, over those of an interrupted first attempt."""
    directory = Path(config.run)
    directory.mkdir(parents=True, exist_ok=True)
    for name, values in ((CONFIG, to_json(config)), (PROVENANCE, provenance)):
        partial = directory / f".{name}.partial"
        partial.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
        partial.replace(directory / name)


def read_config(directory: Path) -> TrainingConfig:
    """The config a run was started with."""
    return from_json(TrainingConfig, json.loads((directory / CONFIG).read_text()))


def read_provenance(directory: Path) -> dict[str, Any]:
    """What a run was trained on and with."""
    provenance: dict[str, Any] = json.loads((directory / PROVENANCE).read_text())
    return provenance


def _same_run(config: TrainingConfig, previous: TrainingConfig, directory: Path) -> None:
    now, before = _flat(to_json(config)), _flat(to_json(previous))
    different = [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
        for key in sorted(now.keys() | before.keys())
        if now.get(key) != before.get(key) and not key.startswith(FREE)
    ]
    if different:
        raise CheckpointError(
            f"{directory} holds another run; choose another with --set run=…, or restore: "
            + "; ".join(different)
        )


def _same_data(checkpoint: Checkpoint, provenance: dict[str, Any], path: Path) -> None:
    if checkpoint.meta["data"]["fingerprint"] != provenance["data"]["fingerprint"]:
        raise CheckpointError(
            f"{path} was trained on other images: their number, identities or order changed."
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat
