"""The gallery of a real `norma serve`, asked by closed-loop clients on this same machine."""

import asyncio
import base64
import json
from pathlib import Path

import numpy as np

from app.load.client import Connection, request
from app.load.loops import closed
from benchmarks.gallery.inside import CONTRACT, NAME
from benchmarks.gallery.vectors import Features
from benchmarks.served import Served

GALLERY = f"/v1/galleries/{NAME}"


def _coded(row: Features) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def searches(url: str, probes: Features, mode: str) -> list[bytes]:
    """One request for each probe."""
    bodies = [
        {"feature": _coded(row), "contract_id": CONTRACT, "k": 10, "mode": mode} for row in probes
    ]
    return [_post(url, f"{GALLERY}/search", body) for body in bodies]


def enrolments(url: str, faces: Features, prefix: str, count: int, each: int = 1) -> list[bytes]:
    """`count` requests, a subject with `each` faces in every one."""
    requests = []
    for n in range(count):
        rows = faces[np.arange(n * each, (n + 1) * each) % len(faces)]
        body = {"contract_id": CONTRACT, "features": [{"feature": _coded(row)} for row in rows]}
        requests.append(_post(url, f"{GALLERY}/subjects/{prefix}{n}/faces/features", body))
    return requests


def _post(url: str, path: str, body: object) -> bytes:
    return request(url, path, json.dumps(body).encode(), "application/json")


def load(url: str, requests: list[bytes], clients: int, seconds: float) -> dict[str, float]:
    """Good answers a second and their latencies. Raises RuntimeError where one was not good."""
    answers = asyncio.run(closed(url, requests, clients, seconds))
    if not answers.good.all():
        raise RuntimeError(f"answered {sorted(set(answers.status[~answers.good].tolist()))}")
    return {
        "per_second": answers.rate,
        "p50_ms": answers.quantile(0.5),
        "p99_ms": answers.quantile(0.99),
    }


def subjects(url: str, requests: list[bytes]) -> list[list[str]]:
    """The ids found for each request, best first."""
    return asyncio.run(_subjects(url, requests))


async def _subjects(url: str, requests: list[bytes]) -> list[list[str]]:
    connection = await Connection.to(url)
    found = []
    for one in requests:
        status, body = await connection.fetch(one)
        if status != 200:
            raise RuntimeError(f"answered {status}: {body[:300]!r}")
        found.append([match["subject"]["id"] for match in json.loads(body)["matches"]])
    connection.close()
    return found


def wilson(hits: int, of: int) -> tuple[float, float, float]:
    """(share, lower, upper): Wilson's interval at 95%."""
    z = 1.96
    share = hits / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * np.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return round(share, 5), round(low, 5), round(high, 5)


def agreement(url: str, probes: Features) -> dict[str, object]:
    """How often the right subject is first, and the fast tier's first is the exact one's."""
    exact = subjects(url, searches(url, probes, "exact"))
    fast = subjects(url, searches(url, probes, "fast"))
    same = sum(e[0] == f[0] for e, f in zip(exact, fast, strict=True))
    return {
        "probes": len(probes),
        "exact_right_first": wilson(sum(e[0] == f"s{n}" for n, e in enumerate(exact)), len(probes)),
        "fast_right_first": wilson(sum(f[0] == f"s{n}" for n, f in enumerate(fast)), len(probes)),
        "fast_same_first": wilson(same, len(probes)),
    }


def resident(served: Served) -> int:
    """Bytes of memory that the service's process holds."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024
