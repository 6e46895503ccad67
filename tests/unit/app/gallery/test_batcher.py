"""Searches that come while another runs: together, in turn, and none forgotten."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import cast

import numpy as np
import pytest

from app.errors import BusyError, NotReadyError
from app.gallery.batcher import MAX_BATCH, Found, SearchBatcher
from app.gallery.index.codes import Queries
from app.gallery.index.engine import SearchEngine, Want
from app.gallery.index.projection import Projection
from app.gallery.index.rescore import Ranked
from app.gallery.index.segment import View


class Engine:
    """Answers a probe with its own number; each search ends when it is let."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.fails = False

    def search(self, view: View, queries: Queries, wants: Sequence[Want]) -> list[Ranked]:
        self.batches.append(len(queries))
        self.begun.release()
        self.let.acquire()
        if self.fails:
            raise MemoryError
        return [Ranked(np.array([want.k]), np.array([want.k]), np.ones(1)) for want in wants]


class Stage:
    def __init__(self, bound: int = 1000) -> None:
        self.engine = Engine()
        self.batcher = SearchBatcher(cast(SearchEngine, self.engine), bound)
        self.projections = [Projection(2, "float32") for _ in range(2)]
        self.people = ThreadPoolExecutor(100)

    def ask(self, number: int, gallery: int = 0) -> "Future[Found]":
        query = Queries.of(np.ones((1, 2), np.float32))
        where = self.projections[gallery]
        return self.people.submit(self.batcher.search, where, query, Want(number))

    def come(self, numbers: Sequence[int]) -> "list[Future[Found]]":
        """Asks, and returns once all of them wait."""
        before = len(self.batcher._waiting)
        asked = [self.ask(n) for n in numbers]
        until(lambda: len(self.batcher._waiting) == before + len(numbers))
        return asked


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.001)


def numbers(asked: "Sequence[Future[Found]]") -> list[int]:
    return [int(one.result(60).ranked.face_ids[0]) for one in asked]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_those_who_come_meanwhile_are_answered_together(stage: Stage) -> None:
    first = stage.ask(1)
    stage.engine.begun.acquire()
    others = stage.come(range(2, 12))
    stage.engine.let.release(2)
    assert numbers([first, *others]) == list(range(1, 12))
    assert stage.engine.batches == [1, 10]


def test_more_than_one_pass_can_take_wait_for_the_next(stage: Stage) -> None:
    first = stage.ask(0)
    stage.engine.begun.acquire()
    others = stage.come(range(1, MAX_BATCH + 11))
    stage.engine.let.release(3)
    assert numbers([first, *others]) == list(range(MAX_BATCH + 11))
    assert stage.engine.batches == [1, MAX_BATCH, 10]


def test_galleries_are_searched_one_after_the_other(stage: Stage) -> None:
    first = stage.ask(0)
    stage.engine.begun.acquire()
    others = [*stage.come([1, 2]), stage.ask(3, gallery=1)]
    until(lambda: len(stage.batcher._waiting) == 3)
    stage.engine.let.release(3)
    assert numbers([first, *others]) == [0, 1, 2, 3]
    assert sorted(stage.engine.batches[1:]) == [1, 2]


def test_a_search_that_fails_takes_its_own_batch_along_and_no_more(stage: Stage) -> None:
    first = stage.ask(0)
    stage.engine.begun.acquire()
    others = stage.come([1, 2])
    stage.engine.let.release()
    stage.engine.begun.acquire()
    stage.engine.fails = True
    stage.engine.let.release()
    for one in others:
        with pytest.raises(MemoryError):
            one.result(60)
    assert numbers([first]) == [0]
    stage.engine.fails = False
    stage.engine.let.release()
    assert numbers([stage.ask(7)]) == [7]


def test_more_than_may_wait_are_refused() -> None:
    stage = Stage(bound=2)
    first = stage.ask(0)
    stage.engine.begun.acquire()
    others = stage.come([1, 2])
    with pytest.raises(BusyError):
        stage.ask(3).result(60)
    stage.engine.let.release(2)
    assert numbers([first, *others]) == [0, 1, 2]


def test_closing_answers_those_who_wait_and_refuses_the_rest(stage: Stage) -> None:
    asked = [stage.ask(0)]
    stage.engine.begun.acquire()
    asked += stage.come([1, 2])
    closing = stage.people.submit(stage.batcher.close)
    until(lambda: stage.batcher._closed)
    with pytest.raises(NotReadyError):
        stage.ask(3).result(60)
    assert not closing.done()
    stage.engine.let.release(2)
    closing.result(60)
    assert numbers(asked) == [0, 1, 2]
