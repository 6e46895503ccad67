import numpy as np
import pytest

from app.rates.drift import Live, baseline


def _live(values: np.ndarray, before: np.ndarray) -> Live:
    live = Live(baseline(before))
    for value in values:
        live.add(float(value))
    return live


def test_the_same_world_is_no_drift() -> None:
    random = np.random.default_rng(0)
    before = random.normal(0.3, 0.05, 2000)
    alarms = [_live(random.normal(0.3, 0.05, 500), before).drift().drifted for _ in range(200)]
    assert sum(alarms) == 0


def test_without_drift_the_index_is_what_chance_gives() -> None:
    random = np.random.default_rng(1)
    found = [_live(random.normal(size=500), random.normal(size=2000)).drift() for _ in range(100)]
    indices = [drift.index for drift in found]
    assert np.mean(indices) == pytest.approx(found[0].expected, rel=0.2)


def test_another_camera_is_a_drift() -> None:
    random = np.random.default_rng(2)
    drift = _live(random.normal(0.33, 0.06, 1000), random.normal(0.3, 0.05, 2000)).drift()
    assert drift.drifted
    assert drift.index > 0.1


def test_a_shift_without_consequence_is_no_alarm() -> None:
    random = np.random.default_rng(3)
    drift = _live(random.normal(0.302, 0.05, 20_000), random.normal(0.3, 0.05, 20_000)).drift()
    assert not drift.drifted


def test_few_values_say_nothing() -> None:
    assert not _live(np.ones(100), np.zeros(1000)).drift().drifted
