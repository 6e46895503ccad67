"""How many requests a second are answered in time, and what stands in the way of more."""

import asyncio
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from app.capacity.instance import Instance
from app.errors import InputError
from app.load.client import Connection
from app.load.loops import Answers, closed, open_loop

TRIALS = 5
ALONE = 20
IN_TIME = 0.99
"""Share of the requests that must be answered well within the limit."""
BUSY = 0.85
"""Share of the cores' time from which on the processor is what limits."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a good answer is, and how long to look: `limit_ms` at the 99th percentile."""

    limit_ms: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One open-loop run: requests a second offered and answered in time, milliseconds."""

    offered: float
    in_time: float
    p50_ms: float
    p99_ms: float
    held: bool


@dataclass(frozen=True, slots=True)
class Capacity:
    """`alone_ms`: one request at a time; `stages_ms` its parts, which add up to it; `peak` is what
    a closed loop gets out at most, `sustained` the highest rate of arrivals that was held."""

    alone_ms: float
    stages_ms: dict[str, float]
    peak: float
    cores_busy: float
    sustained: float
    trials: tuple[Trial, ...]

    @property
    def limited_by(self) -> str:
        """What would have to be faster."""
        largest = max(self.stages_ms, key=lambda name: self.stages_ms[name])
        share = self.stages_ms[largest] / sum(self.stages_ms.values())
        busy = f"the service had {self.cores_busy:.0%} of the cores' time"
        if self.cores_busy < BUSY:
            return f"something besides its processor time: {busy}; is the machine its own?"
        return f"the processor ({busy}), most of all by {largest}: {share:.0%} of a request"


async def measure(service: Instance, requests: Sequence[bytes], plan: Plan) -> Capacity:
    """Requests are sent in turn. Raises InputError where one of them is not answered well."""
    alone_ms, stages_ms = await _alone(service, requests)
    share = plan.seconds / (TRIALS + 2)
    cores = os.cpu_count() or 1
    before = service.cpu_seconds()
    peak = await closed(service.url, requests, 4 * cores, 2 * share)
    busy = (service.cpu_seconds() - before) / peak.seconds / cores
    trials = await _search(service, requests, plan.limit_ms, peak.rate, share)
    held = [trial.offered for trial in trials if trial.held]
    return Capacity(alone_ms, stages_ms, peak.rate, busy, max(held, default=0.0), tuple(trials))


async def _alone(service: Instance, requests: Sequence[bytes]) -> tuple[float, dict[str, float]]:
    connection = await Connection.to(service.url)
    seen: list[dict[str, float]] = []
    loop = asyncio.get_running_loop()
    for data in (*requests, *islice(cycle(requests), ALONE)):
        start = loop.time()
        status, body = await connection.fetch(data)
        whole = (loop.time() - start) * 1000
        if status != 200:
            raise InputError(
                f"a request was answered {status}: {body[:300].decode(errors='replace')}"
            )
        stages = json.loads(body)["timings_ms"]
        seen.append({**stages, "http": whole - sum(stages.values())})
    connection.close()
    warm = seen[len(requests) :]
    stages_ms = {name: statistics.median(one[name] for one in warm) for name in warm[0]}
    return sum(stages_ms.values()), stages_ms


async def _search(
    service: Instance, requests: Sequence[bytes], limit_ms: float, peak: float, seconds: float
) -> list[Trial]:
    """Halves the span between a rate that is held and one that is not."""
    low, high = 0.0, 1.1 * peak
    trials: list[Trial] = []
    for _ in range(TRIALS):
        rate = (low + high) / 2 if trials else 0.8 * peak
        trial = judged(rate, await open_loop(service.url, requests, rate, seconds), limit_ms)
        trials.append(trial)
        low, high = (rate, high) if trial.held else (low, rate)
    return trials


def judged(rate: float, answers: Answers, limit_ms: float) -> Trial:
    in_time = answers.good & (answers.latency_ms <= limit_ms)
    return Trial(
        offered=rate,
        in_time=answers.good_within(limit_ms),
        p50_ms=answers.quantile(0.5),
        p99_ms=answers.quantile(0.99),
        held=bool(len(in_time)) and float(in_time.mean()) >= IN_TIME,
    )
