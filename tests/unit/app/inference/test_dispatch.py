"""The engine's rules under a fake clock: whatever comes, goes, fails, stalls or dies."""

from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.errors import BusyError, DeadlineError, NormaError, NotReadyError
from app.inference.dispatch import Dispatcher
from app.inference.turn import Shift, Ticket, Turn

CAPACITY, STALL, MOST, WORKERS = 6, 5.0, 3, 2
KINDS = st.sampled_from(["tall", "wide"])
TENANTS = st.sampled_from(["a", "b", "c"])


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Engine(RuleBasedStateMachine):
    """Callers, workers and the supervisor, in any order that hypothesis can think of."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.dispatcher: Dispatcher[int, int] = Dispatcher(CAPACITY, STALL, self.clock)
        self.shifts = [self.dispatcher.hire() for _ in range(WORKERS)]
        self.tickets: list[Ticket[int, int]] = []
        self.outcomes: dict[int, int] = {}
        self.begun: list[int] = []

    def _counted(self, ticket: Ticket[int, int]) -> None:
        def count(_: "Future[int]") -> None:
            self.outcomes[ticket.work] = self.outcomes.get(ticket.work, 0) + 1

        ticket.future.add_done_callback(count)

    @rule(tenant=TENANTS, kinds=st.lists(KINDS, min_size=1, max_size=3), patience=st.floats(0, 20))
    def join(self, tenant: str, kinds: list[str], patience: float) -> None:
        before = self.dispatcher.taken
        works = [(kind, len(self.tickets) + n) for n, kind in enumerate(kinds)]
        try:
            tickets = self.dispatcher.join(works, Turn(tenant, self.clock.now + patience))
        except BusyError:
            assert before + len(works) > CAPACITY
            assert self.dispatcher.taken == before
            return
        for ticket in tickets:
            self._counted(ticket)
        self.tickets += tickets

    @rule(which=st.integers(0, 50))
    @precondition(lambda self: self.tickets)
    def caller_leaves(self, which: int) -> None:
        ticket = self.tickets[which % len(self.tickets)]
        if ticket.future.cancel():
            assert ticket.work not in self.begun

    @rule(worker=st.integers(0, WORKERS - 1), most=st.integers(1, MOST))
    def begin(self, worker: int, most: int) -> None:
        shift = self.shifts[worker]
        if shift.group:
            return
        waiting = {ticket.work for ticket in self.tickets if not ticket.future.done()}
        group = self.dispatcher.begin(shift, most, wait=False)
        assert len(group) <= most
        assert len({ticket.kind for ticket in group}) <= 1
        for ticket in group:
            assert ticket.work in waiting
            assert ticket.work not in self.begun
            assert ticket.turn.deadline > self.clock.now
            self._first_of_its_line(ticket)
            self.begun.append(ticket.work)

    def _first_of_its_line(self, ticket: Ticket[int, int]) -> None:
        """Nobody of the same tenant and kind has come before it and still waits."""
        line = (ticket.turn.tenant, ticket.kind)
        earlier = self.tickets[: self.tickets.index(ticket)]
        overtaken = [
            one
            for one in earlier
            if (one.turn.tenant, one.kind) == line
            and one.work not in self.begun
            and not one.future.done()
        ]
        assert overtaken == []

    @rule(worker=st.integers(0, WORKERS - 1), fails=st.sets(st.integers(0, MOST)))
    def end(self, worker: int, fails: set[int]) -> None:
        shift = self.shifts[worker]
        group = list(shift.group)
        due = {ticket.work for ticket in group if not ticket.future.done()}
        outcomes: list[int | BaseException] = [
            ValueError(ticket.work) if n in fails else -ticket.work
            for n, ticket in enumerate(group)
        ]
        self.dispatcher.end(shift, outcomes)
        for ticket, outcome in zip(group, outcomes, strict=True):
            if ticket.work in due:
                assert (ticket.future.exception() or ticket.future.result()) == outcome

    @rule(worker=st.integers(0, WORKERS - 1))
    def worker_dies(self, worker: int) -> None:
        shift = self.shifts[worker]
        self.dispatcher.give_up(shift, NotReadyError("a worker died"))
        self.shifts[worker] = self.dispatcher.hire()
        self.dispatcher.end(shift, [0] * len(shift.group))  # a dead one's words count for nothing

    @rule(seconds=st.floats(0.1, 8))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def supervise(self) -> None:
        stuck = self.dispatcher.supervise()
        for shift in stuck:
            assert shift.retired
            self.shifts[self.shifts.index(shift)] = self.dispatcher.hire()
        for ticket in self.tickets:
            if ticket.turn.deadline <= self.clock.now:
                assert ticket.future.done()

    @invariant()
    def no_outcome_comes_twice(self) -> None:
        done = {ticket.work for ticket in self.tickets if ticket.future.done()}
        assert self.outcomes == dict.fromkeys(done, 1)

    @invariant()
    def places_are_conserved(self) -> None:
        running = sum(len(shift.group) for shift in self.shifts)
        waiting = sum(not t.future.done() for t in self.tickets if t.work not in self.begun)
        assert self.dispatcher.waiting == waiting
        assert self.dispatcher.taken == running + waiting <= CAPACITY

    def teardown(self) -> None:
        self.dispatcher.close()
        for shift in self.shifts:
            self.dispatcher.end(shift, [0] * len(shift.group))
        assert all(ticket.future.done() for ticket in self.tickets)
        assert self.dispatcher.taken == 0
        self.no_outcome_comes_twice()


TestEngine = Engine.TestCase
TestEngine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def dispatcher(clock: Clock, capacity: int = CAPACITY) -> Dispatcher[str, str]:
    return Dispatcher(capacity, STALL, clock)


def join(line: Dispatcher[str, str], tenant: str, *works: str) -> list[Ticket[str, str]]:
    return line.join([("photo", work) for work in works], Turn(tenant, 1000.0))


def begun(line: Dispatcher[str, str], shift: Shift[str, str], most: int = 1) -> list[str]:
    works = [ticket.work for ticket in line.begin(shift, most, wait=False)]
    line.end(shift, works)
    return works


def error_of(ticket: Ticket[Any, Any]) -> BaseException | None:
    assert ticket.future.done()
    return ticket.future.exception()


def test_L04_tenants_take_turns(clock: Clock) -> None:
    line = dispatcher(clock)
    join(line, "greedy", "g1", "g2", "g3", "g4")
    join(line, "modest", "m1")
    shift = line.hire()
    assert [begun(line, shift)[0] for _ in range(5)] == ["g1", "m1", "g2", "g3", "g4"]


def test_L04_tenants_share_a_batch(clock: Clock) -> None:
    line = dispatcher(clock)
    join(line, "greedy", "g1", "g2", "g3", "g4")
    join(line, "modest", "m1", "m2")
    assert begun(line, line.hire(), 4) == ["g1", "m1", "g2", "m2"]


def test_L04_a_flood_gives_way_newest_first_and_whole_requests_at_a_time(clock: Clock) -> None:
    line = dispatcher(clock)
    first, second, third = (join(line, "greedy", *pair) for pair in ("ab", "cd", "ef"))
    [modest] = join(line, "modest", "m")
    assert [type(error_of(ticket)) for ticket in third] == [BusyError, BusyError]
    assert not any(ticket.future.done() for ticket in (*first, *second, modest))
    assert line.taken == 5


def test_there_is_room_while_one_more_would_fit_or_find_somebody_to_give_way(clock: Clock) -> None:
    line = dispatcher(clock)
    for work in "12345":
        join(line, "greedy", work)
    line.check_room("greedy")
    join(line, "greedy", "6")
    line.check_room("modest")
    with pytest.raises(BusyError):
        line.check_room("greedy")
    assert line.taken == CAPACITY


def test_L04_nobody_gives_way_to_who_has_as_much(clock: Clock) -> None:
    line = dispatcher(clock)
    for tenant, work in zip("aaabbb", "123456", strict=True):
        join(line, tenant, work)
    for tenant in ("a", "b"):
        with pytest.raises(BusyError):
            join(line, tenant, "7")
    with pytest.raises(BusyError):
        join(line, "c", "7", "8", "9")
    with pytest.raises(BusyError):
        join(line, "c", "7", "8")
    join(line, "c", "7")
    join(line, "c", "8")
    with pytest.raises(BusyError):
        join(line, "c", "9")


def test_batches_are_of_one_kind_and_the_other_kind_keeps_its_place(clock: Clock) -> None:
    line = dispatcher(clock)
    turn = Turn("a", 1000.0)
    line.join([("tall", "1"), ("wide", "2"), ("tall", "3")], turn)
    shift = line.hire()
    assert [begun(line, shift, 8) for _ in range(2)] == [["1", "3"], ["2"]]


def test_F26_who_leaves_the_line_is_never_begun_and_frees_the_place(clock: Clock) -> None:
    line = dispatcher(clock)
    _, leaves = join(line, "a", "stays", "leaves")
    assert leaves.future.cancel()
    assert line.taken == 1
    shift = line.hire()
    assert begun(line, shift, 8) == ["stays"]
    assert begun(line, shift, 8) == []


def test_F29_who_is_overdue_is_answered_and_never_begun(clock: Clock) -> None:
    line = dispatcher(clock)
    line.hire()
    [late] = line.join([("photo", "late")], Turn("a", clock.now + 1))
    clock.now += 1
    assert begun(line, line.hire()) == []
    assert isinstance(error_of(late), DeadlineError)
    assert line.taken == 0


def test_F29_a_result_that_comes_late_is_thrown_away(clock: Clock) -> None:
    line = dispatcher(clock)
    [late] = line.join([("photo", "late")], Turn("a", clock.now + 1))
    shift = line.hire()
    line.begin(shift, 1, wait=False)
    clock.now += 1
    assert line.supervise() == []
    assert isinstance(error_of(late), DeadlineError)
    assert line.taken == 1, "the worker is still at it"
    line.end(shift, ["too late"])
    assert isinstance(error_of(late), DeadlineError)
    assert line.taken == 0


def test_F25_a_stuck_worker_is_given_up_and_what_it_brings_later_is_thrown_away(
    clock: Clock,
) -> None:
    line = dispatcher(clock)
    other = line.hire()
    shift = line.hire()
    held, waits = join(line, "a", "held", "waits")
    line.begin(shift, 1, wait=False)
    clock.now += STALL + 1
    assert line.supervise() == [shift]
    assert isinstance(error_of(held), NotReadyError)
    line.end(shift, ["late"])
    assert line.taken == 1
    assert not waits.future.done()
    assert begun(line, other) == ["waits"]


def test_F25_where_all_are_stuck_who_waits_is_told_at_once(clock: Clock) -> None:
    line = dispatcher(clock)
    shifts = [line.hire(), line.hire()]
    tickets = join(line, "a", "1", "2", "3")
    for shift in shifts:
        line.begin(shift, 1, wait=False)
    clock.now += STALL + 1
    assert line.supervise() == shifts
    assert [type(error_of(ticket)) for ticket in tickets] == [NotReadyError] * 3
    assert line.taken == 0


@pytest.mark.parametrize(("moves", "expected"), [(False, NotReadyError), (True, DeadlineError)])
def test_F25_overdue_behind_workers_that_do_not_move_is_not_the_callers_patience(
    clock: Clock, moves: bool, expected: type[NormaError]
) -> None:
    line = dispatcher(clock)
    shift = line.hire()
    join(line, "a", "first", "second")
    line.begin(shift, 1, wait=False)
    [waits] = line.join([("photo", "waits")], Turn("a", clock.now + 2))
    clock.now += 1
    if moves:
        line.end(shift, ["done"])
        line.begin(shift, 1, wait=False)
    clock.now += 1
    line.supervise()
    assert type(error_of(waits)) is expected


def test_closing_refuses_what_waits_and_what_comes(clock: Clock) -> None:
    line = dispatcher(clock)
    shift = line.hire()
    runs, waits = join(line, "a", "runs", "waits")
    line.begin(shift, 1, wait=False)
    line.close()
    assert isinstance(error_of(waits), NotReadyError)
    with pytest.raises(NotReadyError):
        join(line, "a", "more")
    line.end(shift, ["done"])
    assert runs.future.result() == "done"
    assert line.taken == 0
