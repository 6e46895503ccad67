from pathlib import Path

import torch

from models.train.journal import read_log
from models.train.record import Record, recording
from models.train.report import Silent
from models.train.world import World

CPU = torch.device("cpu")


class Listener(Silent):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, message: str) -> None:
        self.heard.append(message)


def starve(record: Record) -> None:
    """A window of which next to everything was waiting."""
    record.meter.restart()
    record.meter.waited(1e6)
    record.speed()


def test_a_starved_run_says_so_once() -> None:
    listener = Listener()
    record = Record(listener, None)
    starve(record)
    assert listener.heard == []
    starve(record)
    starve(record)
    assert len(listener.heard) == 1
    assert "data is the bottleneck" in listener.heard[0]


def test_a_fed_run_says_nothing() -> None:
    listener = Listener()
    record = Record(listener, None)
    for _ in range(3):
        record.meter.restart()
        record.speed()
    assert listener.heard == []


def test_only_the_first_rank_writes(tmp_path: Path) -> None:
    for rank in (1, 0):
        with recording(tmp_path, World(rank, 2, CPU), None, 0) as record:
            record.write(rank, {"loss": 1.0})
    assert [entry["step"] for entry in read_log(tmp_path)] == [0]
