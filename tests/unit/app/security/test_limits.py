"""Rates and numbers at once, on a clock that the tests turn."""

from hypothesis import given
from hypothesis import strategies as st

from app.security.limits import AtOnce, Pace, Rate
from tests.unit.app.security.conftest import Clock

gaps = st.lists(st.floats(0, 3), min_size=1, max_size=60)


@given(gaps, st.floats(0.5, 20), st.integers(1, 5))
def test_it_is_a_token_bucket(pauses: list[float], rate: float, burst: int) -> None:
    """Beside one that counts tokens, as it is told in textbooks."""
    clock = Clock()
    pace: Pace[str] = Pace(10, clock)
    tokens = float(burst)
    for pause in pauses:
        clock.at += pause
        tokens = min(burst, tokens + pause * rate)
        if abs(tokens - 1) < 1e-6:
            return  # rounding decides
        wait = pace.take("x", Rate(rate, burst))
        assert (wait == 0) == (tokens >= 1)
        if wait:
            assert abs(wait - (1 - tokens) / rate) < 1e-6
        else:
            tokens -= 1


def test_who_waits_as_long_as_told_is_served() -> None:
    clock = Clock()
    pace: Pace[str] = Pace(10, clock)
    rate = Rate(1 / 3, 2)
    assert [pace.take("x", rate) == 0 for _ in range(3)] == [True, True, False]
    clock.at += pace.take("x", rate)
    assert pace.take("x", rate) == 0


def test_several_are_taken_together_or_not_at_all() -> None:
    clock = Clock()
    pace: Pace[str] = Pace(10, clock)
    rate = Rate(2, 6)
    assert pace.take("x", rate, 4) == 0
    assert pace.take("x", rate, 4) == 1.0
    assert pace.take("x", rate, 2) == 0
    assert pace.take("x", rate) == 0.5
    clock.at += 3
    assert pace.take("x", rate, 1000) == 0, "a full bucket is all that anyone can have"
    assert pace.take("x", rate, 1000) == 3.0


def test_names_do_not_share() -> None:
    pace: Pace[str] = Pace(10, Clock())
    rate = Rate(1, 1)
    assert [pace.take(name, rate) == 0 for name in ("a", "a", "b")] == [True, False, True]


def test_a11_the_memory_is_bounded_and_the_longest_unheard_of_is_forgotten() -> None:
    pace: Pace[int] = Pace(100, Clock())
    rate = Rate(1, 2)
    for name in range(1, 1000):
        assert pace.take(name, rate) == 0
        assert (pace.take(0, rate) == 0) == (name <= 2), "0 is heard of all the time"
    assert len(pace) == 100


def test_a_clock_that_stands_still_or_steps_back_gives_nothing_away() -> None:
    clock = Clock(100)
    pace: Pace[str] = Pace(10, clock)
    rate = Rate(1, 1)
    assert pace.take("x", rate) == 0
    clock.at = 50
    assert pace.take("x", rate) > 0


def test_places_are_given_back_and_leave_nothing_behind() -> None:
    running: AtOnce[str] = AtOnce()
    assert [running.enter("x", 2) for _ in range(3)] == [True, True, False]
    running.leave("x")
    assert running.enter("x", 2)
    running.leave("x")
    running.leave("x")
    assert len(running) == 0
