"""Closed loops, where a client waits for its answer, and open ones, where the world does not.

In an open loop every latency counts from the moment at which the request was due, so that a
service that stalls cannot hide it by delaying the next request (coordinated omission).
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from app.load.client import Connection


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of a run: for each request, in the order sent, milliseconds and status (0: the
    connection was lost); and the seconds the run took."""

    latency_ms: NDArray[np.float64]
    status: NDArray[np.int64]
    seconds: float

    @property
    def good(self) -> NDArray[np.bool_]:
        return (self.status >= 200) & (self.status < 300)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return float(self.good.sum()) / self.seconds

    def good_within(self, limit_ms: float) -> float:
        """Good answers a second that came in time."""
        return float((self.good & (self.latency_ms <= limit_ms)).sum()) / self.seconds

    def quantile(self, q: float, *, refused: bool = False) -> float:
        """Of the good answers' milliseconds, or of the others'; NaN where there are none."""
        chosen = self.latency_ms[~self.good if refused else self.good]
        return float(np.quantile(chosen, q)) if len(chosen) else float("nan")


async def closed(url: str, requests: Sequence[bytes], clients: int, seconds: float) -> Answers:
    """Each of `clients` sends its next request when the last one is answered."""
    found: list[tuple[float, int]] = []
    turns = count()
    start = time.perf_counter()

    async def client() -> None:
        connection = await Connection.to(url)
        while (begun := time.perf_counter()) < start + seconds:
            if not connection.open:
                connection = await Connection.to(url)
            status = await connection.exchange(requests[next(turns) % len(requests)])
            found.append(((time.perf_counter() - begun) * 1000, status))
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return _answers(found, time.perf_counter() - start)


async def open_loop(
    url: str, requests: Sequence[bytes], rate: float, seconds: float, seed: int = 0
) -> Answers:
    """Poisson arrivals, `rate` a second; as many connections as it takes."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, max(1, int(rate * seconds)))
    idle: list[Connection] = []
    found: list[tuple[float, int]] = []
    start = time.perf_counter()

    async def send(due: float, data: bytes) -> None:
        status = await _exchange(url, idle, data)
        found.append(((time.perf_counter() - due) * 1000, status))

    async with asyncio.TaskGroup() as group:
        for n, due in enumerate(start + np.cumsum(gaps)):
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            group.create_task(send(float(due), requests[n % len(requests)]))
    for connection in idle:
        connection.close()
    return _answers(found, max(time.perf_counter() - start, float(gaps.sum())))


async def _exchange(url: str, idle: list[Connection], data: bytes) -> int:
    """Over an idle connection that is still open, or over a new one."""
    while idle:
        connection = idle.pop()
        if connection.open:
            break
    else:
        try:
            connection = await Connection.to(url)
        except OSError:
            return 0
    status = await connection.exchange(data)
    if connection.open:
        idle.append(connection)
    return status


def _answers(found: Sequence[tuple[float, int]], seconds: float) -> Answers:
    latencies = np.array([latency for latency, _ in found], np.float64)
    return Answers(latencies, np.array([status for _, status in found], np.int64), seconds)
