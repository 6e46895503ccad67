import pytest

from models.train import ScheduleConfig
from models.train.schedule import Schedule


def factors(config: ScheduleConfig, steps_per_epoch: int = 10) -> list[float]:
    schedule = Schedule(config, steps_per_epoch)
    return [schedule.factor(step) for step in range(schedule.num_steps)]


def test_warm_up_is_linear_and_ends_at_one() -> None:
    grown = factors(ScheduleConfig(epochs=2, warmup=0.5))
    assert grown[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_polynomial_falls_to_almost_nothing() -> None:
    assert factors(ScheduleConfig(epochs=1)) == pytest.approx([1 - i / 10 for i in range(10)])
    assert factors(ScheduleConfig(epochs=1, power=2.0))[5] == pytest.approx(0.25)


def test_cosine_is_half_way_in_the_middle() -> None:
    fallen = factors(ScheduleConfig(epochs=2, shape="cosine"))
    assert fallen[0] == 1.0
    assert fallen[10] == pytest.approx(0.5)
    assert fallen == sorted(fallen, reverse=True)


def test_steps_multiply_at_milestones() -> None:
    fallen = factors(ScheduleConfig(epochs=4, shape="steps", milestones=(1, 3)))
    assert fallen == pytest.approx([1.0] * 10 + [0.1] * 20 + [0.01] * 10)


def test_steps_replace_epochs() -> None:
    assert len(factors(ScheduleConfig(epochs=2, steps=7))) == 7
