"""What a run leaves to read: one JSON line per entry, and the same figures for TensorBoard."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

Figures = Mapping[str, float]


class Journal:
    """Appends to `log.jsonl` and `tensorboard/` of a run directory.

    Entries after `first_step` are dropped when it opens: the steps that an interruption lost will
    be taken, and written, again.
    """

    def __init__(self, directory: Path, first_step: int) -> None:
        path = directory / "log.jsonl"
        _drop_after(path, first_step)
        self._lines = path.open("a", buffering=1)
        self._board = SummaryWriter(directory / "tensorboard", purge_step=first_step + 1)

    def write(self, step: int, figures: Figures) -> None:
        """Figures after `step` steps."""
        self._lines.write(json.dumps({"step": step, "time": time.time(), **figures}) + "\n")
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush both."""
        self._lines.close()
        self._board.close()


def read_log(directory: Path) -> list[dict[str, float]]:
    """The entries of a run's log. A last line cut short by a crash is left out."""
    path = directory / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _drop_after(path: Path, step: int) -> None:
    entries = [entry for entry in read_log(path.parent) if entry["step"] <= step]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
