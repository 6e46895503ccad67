"""The threads that work a dispatcher's line off, and the one that watches them.

A worker that dies or gets stuck is noticed, its callers are answered, and another takes its place.
A thread cannot be killed: one that is stuck stays until it comes back to find itself retired. Once
as many are stuck as there are workers, no more are hired, and the process needs a restart.
"""

import logging
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Generic

from app.errors import NotReadyError
from app.inference.dispatch import Dispatcher
from app.inference.turn import R, Shift, W

TICK = 0.05
"""Seconds between two looks at the workers: how late a deadline may be noticed."""

Run = Callable[[int, Sequence[W]], Sequence[R | BaseException]]
"""The worker's number and the work of one group → outcomes in order."""

_log = logging.getLogger("norma.inference")


class Crew(Generic[W, R]):
    """`workers` threads, each running groups of up to `most` tickets."""

    def __init__(
        self, dispatcher: Dispatcher[W, R], run: Run[W, R], workers: int, most: int
    ) -> None:
        self._dispatcher = dispatcher
        self._run = run
        self._most = most
        self._closing = Event()
        self._stuck: list[Thread] = []
        self._troubled = False
        self._posts = [self._hire(number) for number in range(workers)]
        self._supervisor = Thread(target=self._watch, name="norma-watch", daemon=True)
        self._supervisor.start()

    @property
    def well(self) -> bool:
        """Whether all are at work, and something has succeeded since one died or was stuck."""
        staffed = all(thread.is_alive() and not shift.retired for shift, thread in self._posts)
        return staffed and self._supervisor.is_alive() and not self._troubled

    def close(self) -> None:
        """Refuse what waits, wait for what runs unless it is stuck."""
        self._dispatcher.close()
        for shift, thread in self._posts:
            while thread.is_alive() and not shift.retired:
                thread.join(TICK)
        self._closing.set()
        self._supervisor.join()

    def _hire(self, number: int) -> tuple[Shift[W, R], Thread]:
        shift = self._dispatcher.hire()
        # Daemons, so that a stuck one cannot keep the process from ending.
        thread = Thread(
            target=self._work, args=(number, shift), name=f"norma-{number}", daemon=True
        )
        thread.start()
        return shift, thread

    def _work(self, number: int, shift: Shift[W, R]) -> None:
        while group := self._dispatcher.begin(shift, self._most, wait=True):
            try:
                outcomes = self._run(number, [ticket.work for ticket in group])
            except BaseException as death:  # what even a job's own errors are not
                _log.critical("a worker died", exc_info=death)
                return
            self._dispatcher.end(shift, outcomes)
            if self._troubled and not all(isinstance(one, BaseException) for one in outcomes):
                self._troubled = False
            del group, outcomes  # while it waits for work, a worker keeps nobody's photo

    def _watch(self) -> None:
        while not self._closing.wait(TICK):
            stuck = self._dispatcher.supervise()
            self._troubled |= bool(stuck)
            self._stuck = [thread for thread in self._stuck if thread.is_alive()]
            self._stuck += [thread for shift, thread in self._posts if shift in stuck]
            for number, (shift, thread) in enumerate(self._posts):
                if shift.retired or not thread.is_alive():
                    self._replace(number, shift)

    def _replace(self, number: int, shift: Shift[W, R]) -> None:
        self._troubled = True
        self._dispatcher.give_up(shift, NotReadyError("a worker died; try again shortly"))
        if self._dispatcher.open and len(self._stuck) <= len(self._posts):
            _log.critical("worker %d is stuck or dead, another takes its place", number)
            self._posts[number] = self._hire(number)
