"""A session that fails again and again is opened anew."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import InferenceFailedError, StartError
from app.inference.renewal import PATIENCE, PAUSE, RenewedSession
from app.inference.session import Session
from export.errors import IntegrityError

IMAGE = np.zeros((1, 3, 8, 8), dtype=np.float32)


class Broken(Session):
    """Fails as CUDA does once its allocator has failed; works until then."""

    def __init__(self, works: int) -> None:
        self.works = works
        self.batchable = True
        self.provider = "fake"

    def run(self, tensor_NCHW: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        self.works -= 1
        if self.works < 0:
            raise InferenceFailedError("BFCArena: Failed to allocate memory for requested buffer")
        return [tensor_NCHW]


class Opening:
    """Sessions that work so many times; or an error, where one is due."""

    def __init__(self, *sessions: int | Exception) -> None:
        self.sessions = list(sessions)

    def __call__(self) -> Session:
        now = self.sessions.pop(0)
        if isinstance(now, Exception):
            raise now
        return Broken(now)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def fails(session: RenewedSession, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(InferenceFailedError):
            session.run(IMAGE)


def test_F20_one_failure_is_one_failure() -> None:
    session = RenewedSession(Opening(0))
    fails(session, PATIENCE - 1)
    assert session.well


def test_F23_a_session_that_stays_broken_is_replaced_and_well_after_a_success() -> None:
    session = RenewedSession(Opening(1, 1))
    session.run(IMAGE)
    fails(session, PATIENCE)
    assert not session.well, "nothing has succeeded yet"
    session.run(IMAGE)
    assert session.well


@pytest.mark.parametrize(
    "problem", [StartError("no memory"), IntegrityError("another digest"), OSError("gone")]
)
def test_F24_what_cannot_be_opened_is_tried_again_after_a_while(problem: Exception) -> None:
    clock = Clock()
    session = RenewedSession(Opening(0, problem, 1), clock)
    fails(session, PATIENCE + 5)
    assert not session.well
    clock.now += PAUSE
    fails(session)
    session.run(IMAGE)
    assert session.well


def test_F24_a_success_in_between_starts_the_count_anew() -> None:
    broken = Broken(0)
    session = RenewedSession([broken].pop)
    for _ in range(3):
        fails(session, PATIENCE - 1)
        broken.works = 1
        session.run(IMAGE)
    assert session.well


def test_F17_the_first_opening_may_fail() -> None:
    with pytest.raises(StartError):
        RenewedSession(Opening(StartError("refused")))
