"""Who is next: tenants take turns, and within one, first come first served."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic

from app.inference.turn import R, Ticket, W


class FairQueue(Generic[W, R]):
    """Waiting tickets. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Ticket[W, R]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Ticket[W, R]]:
        for line in self._lines.values():
            yield from line

    def add(self, ticket: Ticket[W, R]) -> None:
        """A tenant who comes anew queues behind the others for its first turn."""
        self._lines.setdefault(ticket.turn.tenant, deque()).append(ticket)
        self._count += 1

    def remove(self, ticket: Ticket[W, R]) -> bool:
        """Whether it was still waiting."""
        line = self._lines.get(ticket.turn.tenant)
        if line is None or ticket not in line:
            return False
        line.remove(ticket)
        self._count -= 1
        if not line:
            del self._lines[ticket.turn.tenant]
        return True

    def next(self) -> Ticket[W, R] | None:
        """The ticket whose turn it is; its tenant goes to the back."""
        if not self._lines:
            return None
        return self._serve(next(iter(self._lines)), 0)

    def next_like(self, first: Ticket[W, R]) -> Ticket[W, R] | None:
        """The next one of the same kind, tenants still taking turns."""
        for tenant, line in self._lines.items():
            for place, ticket in enumerate(line):
                if ticket.kind == first.kind:
                    return self._serve(tenant, place)
        return None

    def _serve(self, tenant: str, place: int) -> Ticket[W, R]:
        line = self._lines[tenant]
        ticket = line[place]
        del line[place]
        self._count -= 1
        if line:
            self._lines.move_to_end(tenant)
        else:
            del self._lines[tenant]
        return ticket

    def to_push_out(self, tenant: str, places: int) -> list[Ticket[W, R]]:
        """What `tenant` may displace for `places` more: the newest parties of the tenant with the
        longest line, where that stays at least as long as `tenant`'s becomes; else nothing.

        (Longest-queue drop: with one tenant's flood every place could be taken for good.)
        """
        if not self._lines:
            return []
        longest = max(self._lines.values(), key=len)
        own = len(self._lines.get(tenant, ()))
        out: list[Ticket[W, R]] = []
        for ticket in reversed(longest):
            if len(out) >= places and ticket.party is not out[-1].party:
                break
            out.append(ticket)
        fits = len(out) >= places and len(longest) - len(out) >= own + places
        return out if fits else []
