"""What is concluded from trials."""

from dataclasses import replace

import numpy as np

from app.capacity.measure import Capacity, Trial, judged
from app.commands.capacity import planned
from app.load.loops import Answers

FOUND = Capacity(
    alone_ms=40,
    stages_ms={"decode": 2, "detect": 8, "embed": 28, "http": 2},
    peak=50,
    cores_busy=0.97,
    sustained=40,
    trials=(Trial(40, 40, 41, 90, True),),
)


def answers(slow: int, refused: int = 0) -> Answers:
    latency = np.full(1000, 50.0)
    latency[:slow] = 900
    status = np.full(1000, 200)
    status[1000 - refused :] = 503
    return Answers(latency, status, 10)


def test_a_rate_is_held_where_99_of_100_are_answered_well_in_time() -> None:
    assert judged(100, answers(slow=10), 500).held
    assert not judged(100, answers(slow=11), 500).held
    assert judged(100, answers(slow=11), 1000).held
    assert not judged(100, answers(slow=5, refused=6), 500).held
    assert judged(100, answers(slow=500), 500).in_time == 50


def test_what_limits_is_named() -> None:
    assert "most of all by embed: 70%" in FOUND.limited_by
    assert "besides its processor time" in replace(FOUND, cores_busy=0.5).limited_by


def test_replicas_leave_room() -> None:
    assert planned(FOUND, 32)["replicas"] == 1
    assert planned(FOUND, 33)["replicas"] == 2
    assert planned(FOUND, 320)["replicas"] == 10
    assert planned(FOUND, None)["replicas"] is None
    assert planned(replace(FOUND, sustained=0), 10)["replicas"] is None
