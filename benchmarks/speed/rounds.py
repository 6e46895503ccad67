"""Interleaved rounds: every side is asked in turn, again and again, so that a noisy machine hurts
all of them; medians over the rounds are compared, and ratios round by round."""

import math
import statistics
from collections.abc import Mapping, Sequence

from app.load.loops import Answers
from benchmarks.speed.sides import Server, Side

Row = dict[str, float]


def interleaved(
    sides: Mapping[str, Side], clients: int, rounds: int, seconds: float, work: Mapping[str, int]
) -> dict[str, Row]:
    """For each side requests a second, p50, p99, and its rate over the bare side's.

    `work` says how many photos a request of each side is, so that rates compare; 1 by default.
    """
    seen: dict[str, list[Answers]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            seen[name].append(side.closed(clients, seconds))
    bare = [answers.rate for answers in seen["bare"]]
    rows = {}
    for name, answers in seen.items():
        photos = [one.rate * work.get(name, 1) for one in answers]
        rows[name] = {
            "rate": _median([one.rate for one in answers]),
            "p50_ms": _median([one.quantile(0.5) for one in answers]),
            "p99_ms": _median([one.quantile(0.99) for one in answers]),
            "of_bare": _median([a / b for a, b in zip(photos, bare, strict=True)], 3),
            "not_good": sum(int((~one.good).sum()) for one in answers),
        }
    return rows


def overload(
    server: Server, capacity: float, shares: Sequence[float], seconds: float, deadline_ms: float
) -> dict[str, Row]:
    """Open loops at shares of the capacity: what is still answered in time, how fast the rest is
    refused."""
    rows = {}
    for seed, share in enumerate(shares):
        found = server.open_loop(share * capacity, seconds, seed)
        refused = found.quantile(0.99, refused=True)
        rows[f"{share:.0%}"] = {
            "offered": round(share * capacity, 1),
            "good_in_time": round(found.good_within(deadline_ms), 1),
            "of_capacity": round(found.good_within(deadline_ms) / capacity, 3),
            "p50_ms": round(found.quantile(0.5), 1),
            "p99_ms": round(found.quantile(0.99), 1),
            "refused": int((found.status == 503).sum()),
            "lost": int((found.status == 0).sum()),
            "other": int((~found.good & (found.status != 503) & (found.status != 0)).sum()),
            "refused_p99_ms": -1 if math.isnan(refused) else round(refused, 1),
        }
    return rows


def _median(values: Sequence[float], digits: int = 2) -> float:
    return round(statistics.median(values), digits)
