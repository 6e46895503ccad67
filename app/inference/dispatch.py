"""The rules of the engine, without threads: who may wait, who is next, who has waited too long.

Every ticket gets exactly one outcome, whatever happens to callers and workers, and every place that
was taken is given back. A place is held from joining to the end of the work, also where the caller
has gone meanwhile: otherwise many who come and go would pile up more work than fits.
"""

from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Condition, RLock
from typing import Generic
from weakref import ref

from app.errors import BusyError, DeadlineError, NormaError, NotReadyError
from app.inference.fair_queue import FairQueue
from app.inference.turn import Clock, R, Shift, Ticket, Turn, W
from app.telemetry.meters import SILENT, Load, Meters, Queue

_FULL = "all workers are taken and the queue is full; try again shortly"


class Dispatcher(Generic[W, R]):
    """A bounded line and the shifts that work it off. Safe from many threads at once."""

    def __init__(
        self,
        capacity: int,
        stall: float,
        clock: Clock,
        meters: Meters = SILENT,
        name: Queue = "workers",
    ) -> None:
        """`capacity` places in all, waiting or at work; a worker busy with one group for more than
        `stall` seconds is given up. Reports to `meters` as the queue `name`."""
        self._capacity = capacity
        self._stall = stall
        self._clock = clock
        self._meters = meters
        self._name: Queue = name
        self._queue: FairQueue[W, R] = FairQueue()
        self._shifts: list[Shift[W, R]] = []
        self._taken = 0
        self._arrived = Condition(RLock())
        self.open = True

    @property
    def taken(self) -> int:
        """Places in use."""
        return self._taken

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def load(self) -> Load:
        """How many tickets are at work and wait, of how many."""
        taken, waiting = self._taken, len(self._queue)
        return Load(max(taken - waiting, 0), waiting, self._capacity)

    def join(self, works: Sequence[tuple[Hashable, W]], turn: Turn) -> list[Ticket[W, R]]:
        """Tickets for all of these (kind, work), or for none.

        Raises BusyError where they do not fit, NotReadyError once closed.
        """
        now, party = self._clock(), object()
        tickets: list[Ticket[W, R]] = [Ticket(work, kind, turn, party, now) for kind, work in works]
        with self._arrived:
            if not self.open:
                raise NotReadyError("the workers have stopped")
            displaced = self._make_room(turn.tenant, len(tickets))
            self._taken += len(tickets)
            for ticket in tickets:
                self._queue.add(ticket)
            self._arrived.notify(len(tickets))
        crowded = BusyError("others had to be let in; try again shortly")
        _settle([(ticket, crowded) for ticket in displaced])
        for ticket in tickets:
            # Weakly: a future keeps its callbacks, and with the ticket itself among them it would
            # keep its photo too, until the garbage collector comes by.
            ticket.future.add_done_callback(partial(self._leave, ref(ticket)))
        return tickets

    def check_room(self, tenant: str) -> None:
        """Raises BusyError where not even one ticket of this tenant would fit."""
        with self._arrived:
            if self._taken >= self._capacity and not self._queue.to_push_out(tenant, 1):
                raise BusyError(_FULL)

    def _make_room(self, tenant: str, places: int) -> list[Ticket[W, R]]:
        missing = self._taken + places - self._capacity
        if missing <= 0:
            return []
        out = self._queue.to_push_out(tenant, missing)
        if not out:
            raise BusyError(_FULL)
        return [ticket for ticket in out if self._drop(ticket)]

    def _leave(self, gone: "ref[Ticket[W, R]]", future: "Future[R]") -> None:
        """A caller who goes away takes along what still waits."""
        ticket = gone()
        if ticket is not None and future.cancelled():
            with self._arrived:
                waited = self._drop(ticket)
            if waited:
                self._meters.dropped(self._name, "cancelled")

    def _drop(self, ticket: Ticket[W, R]) -> bool:
        """Out of the line, its place free. Whether an outcome is still owed."""
        if not self._queue.remove(ticket):
            return False
        self._taken -= 1
        return _owed(ticket)

    def hire(self) -> Shift[W, R]:
        """A shift for one more worker."""
        with self._arrived:
            shift: Shift[W, R] = Shift(since=self._clock())
            self._shifts.append(shift)
            return shift

    def begin(self, shift: Shift[W, R], most: int, *, wait: bool) -> list[Ticket[W, R]]:
        """Up to `most` tickets of one kind, which are this shift's until `end`.

        None of them is overdue or abandoned by its caller. With `wait`, an empty list means that
        the worker's time is over.
        """
        while True:
            with self._arrived:
                over = shift.retired or not self.open
                late = [] if over else self._fill(shift, most)
                if wait and not (over or late or shift.group):
                    self._arrived.wait()
                    continue
                group = list(shift.group)
            _settle([(ticket, _overdue()) for ticket in late])
            self._tell(group, late)
            if group or over or not wait:
                return group

    def _tell(self, begun: Sequence[Ticket[W, R]], late: Sequence[Ticket[W, R]]) -> None:
        now = self._clock()
        for ticket in begun:
            self._meters.waited(self._name, now - ticket.joined)
        for _ in late:
            self._meters.dropped(self._name, "deadline")

    def _fill(self, shift: Shift[W, R], most: int) -> list[Ticket[W, R]]:
        """The shift's next group; returns who came too late."""
        late: list[Ticket[W, R]] = []
        shift.since = now = self._clock()
        ticket = self._queue.next()
        while ticket is not None:
            if ticket.turn.deadline <= now:
                self._taken -= 1
                late += [ticket] if _owed(ticket) else []
            elif ticket.future.set_running_or_notify_cancel():
                shift.group.append(ticket)
            else:
                self._taken -= 1
            if len(shift.group) == most:
                break
            ticket = self._queue.next_like(shift.group[0]) if shift.group else self._queue.next()
        return late

    def end(self, shift: Shift[W, R], outcomes: Sequence[R | BaseException]) -> None:
        """The results of the shift's group, or what went wrong, in order. Those that come too
        late, or from a shift that was given up, are thrown away."""
        with self._arrived:
            if shift.retired:
                return
            pairs = list(zip(shift.group, outcomes, strict=True))
            owed = self._release(shift)
        _settle([(ticket, outcome) for ticket, outcome in pairs if ticket in owed])

    def _release(self, shift: Shift[W, R]) -> list[Ticket[W, R]]:
        """Free the places of a shift's group; returns whom an outcome is owed to."""
        group, shift.group = shift.group, []
        self._taken -= len(group)
        return [ticket for ticket in group if _owed(ticket)]

    def give_up(self, shift: Shift[W, R], why: NormaError) -> None:
        """The worker is dead or stuck: its callers get `why`, and its places are free."""
        with self._arrived:
            if shift.retired:
                return
            shift.retired = True
            self._shifts.remove(shift)
            owed = self._release(shift)
            self._arrived.notify_all()
        _settle([(ticket, why) for ticket in owed])

    def supervise(self) -> list[Shift[W, R]]:
        """Fail what is overdue, give up who is stuck: those shifts are returned.

        Where all are stuck at once, so is whoever waits: those fail too, for the line would only
        feed them to the next ones to get stuck.
        """
        now = self._clock()
        with self._arrived:
            busy = [shift for shift in self._shifts if shift.group]
            stuck = [shift for shift in busy if now - shift.since > self._stall]
            hopeless = bool(stuck) and len(stuck) == len(self._shifts)
            owed = [
                (ticket, _stuck() if hopeless or self._ignored(ticket) else _overdue())
                for ticket in list(self._queue)
                if (hopeless or ticket.turn.deadline <= now) and self._drop(ticket)
            ]
            late = [ticket for ticket, _ in owed]
            running = [ticket for shift in busy for ticket in shift.group]
            owed += [
                (ticket, _overdue())
                for ticket in running
                if ticket.turn.deadline <= now and _owed(ticket)
            ]
        _settle(owed)
        self._tell([], late)
        for shift in stuck:
            self.give_up(shift, _stuck())
        return stuck

    def _ignored(self, ticket: Ticket[W, R]) -> bool:
        """Whether no worker has begun anything since the ticket joined."""
        return all(shift.group and shift.since <= ticket.joined for shift in self._shifts)

    def close(self) -> None:
        """Refuse what waits and what comes; what runs may end."""
        with self._arrived:
            self.open = False
            owed = [ticket for ticket in list(self._queue) if self._drop(ticket)]
            self._arrived.notify_all()
        stopped = NotReadyError("the workers stopped before this was begun")
        _settle([(ticket, stopped) for ticket in owed])


def _owed(ticket: Ticket[W, R]) -> bool:
    """Whether an outcome is still owed; from now on it is the asker's to give. Under the lock."""
    owed, ticket.settled = not ticket.settled, True
    return owed


def _settle(outcomes: Sequence[tuple[Ticket[W, R], R | BaseException]]) -> None:
    """Hand out what `_owed` allowed. Outside the lock, since futures call back."""
    for ticket, outcome in outcomes:
        future = ticket.future
        if not future.running() and not future.set_running_or_notify_cancel():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _overdue() -> DeadlineError:
    return DeadlineError("the request's time was over before its answer was there")


def _stuck() -> NotReadyError:
    return NotReadyError("a worker is stuck and is being replaced; try again shortly")
