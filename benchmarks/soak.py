"""Whether the service stays as it is under lasting load: memory, descriptors, threads.

    python -m benchmarks soak [--minutes 15] [--share 0.7] [--out FILE]

Verify, embed and damaged photos at a share of what the service sustains now; every quarter of a
minute its process is looked at. The slope of its memory is taken after the first third.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np

from app.capacity.instance import Instance, instance
from app.load.client import multipart, request
from app.load.loops import closed, open_loop
from app.settings import Settings
from benchmarks.machine import machine
from benchmarks.speed.photos import photos
from benchmarks.speed.sides import EMBED, VERIFY

EVERY_SECONDS = 15.0


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("benchmarks soak")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--share", type=float, default=0.7)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    with instance(Settings()) as service:
        result = machine() | asyncio.run(_soak(service, given.minutes * 60, given.share))
    text = json.dumps(result, indent=2)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n")


def _mixed(url: str) -> list[bytes]:
    sent = photos()
    pairs = [multipart({"image_a": a, "image_b": b}) for a in sent for b in sent]
    whole = [request(url, EMBED, photo, "image/jpeg") for photo in sent]
    broken = [request(url, EMBED, photo[: len(photo) // 2], "image/jpeg") for photo in sent]
    return [*(request(url, VERIFY, *pair) for pair in pairs), *whole, *broken]


async def _soak(service: Instance, seconds: float, share: float) -> dict[str, Any]:
    requests = _mixed(service.url)
    peak = await closed(service.url, requests, 4, 10)
    rate = share * len(peak.status) / peak.seconds
    looks, statuses = [_look(service.pid)], []
    for turn in range(max(1, round(seconds / EVERY_SECONDS))):
        found = await open_loop(service.url, requests, rate, EVERY_SECONDS, turn)
        statuses.append(found.status)
        looks.append(_look(service.pid))
    status = np.concatenate(statuses)
    third = len(looks) // 3
    minutes = np.arange(len(looks))[third:] * EVERY_SECONDS / 60
    memory = np.array([look["rss_mb"] for look in looks])
    return {
        "minutes": seconds / 60,
        "requests_per_second": round(rate, 1),
        "answers": {str(code): int((status == code).sum()) for code in np.unique(status)},
        "rss_mb_per_minute": round(float(np.polyfit(minutes, memory[third:], 1)[0]), 3),
        "looks": looks,
    }


def _look(pid: int) -> dict[str, float]:
    process = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return {
        "rss_mb": round(int(status["VmRSS"].split()[0]) / 1024, 1),
        "threads": int(status["Threads"]),
        "descriptors": len(list((process / "fd").iterdir())),
    }
