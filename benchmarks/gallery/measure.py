"""Everything about a gallery of one size. All sides alternate in rounds; medians are given."""

import os
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from app.gallery.room import open_store
from app.settings import Settings
from benchmarks.gallery import inside, over_http
from benchmarks.gallery.bare import bandwidth, bare, one_thread
from benchmarks.gallery.vectors import DIM, PER_SUBJECT, Features, identities
from benchmarks.served import started

CLIENTS, WRITERS = (1, 4, 16), (1, 16, 64)
COUNT = {1: 6000, 20: 1500}
"""Requests prepared, by the faces that each enrols: one, and the most allowed."""


def measure(count: int, rounds: int, seconds: float, packages: Path) -> dict[str, Any]:
    """Everything, on `count` faces."""
    faces, probes = identities(count // PER_SUBJECT)
    cores = os.cpu_count() or 1
    result: dict[str, Any] = {"faces": len(faces), "dim": DIM}
    result["memory_gb_per_s"] = {n: round(bandwidth(n), 1) for n in sorted({1, cores})}
    directory = Path(tempfile.mkdtemp(prefix="gallery-benchmark-"))
    try:
        result |= _enrolments(directory, faces, seconds, packages)
        result |= _filled(directory / "data", faces)
        result |= _served(directory / "data", faces, probes, rounds, seconds, packages)
    finally:
        shutil.rmtree(directory)
    held = result["resident_bytes"] - result.pop("empty_resident_bytes")
    result["memory_bytes_per_face"] = round(held / len(faces))
    result |= _ratios(result)
    return result


def _enrolments(directory: Path, faces: Features, seconds: float, packages: Path) -> dict[str, Any]:
    alone = {n: inside.enrolments(directory / f"e{n}", faces, n, seconds) for n in WRITERS}
    store = open_store(Settings(data_dir=directory / "empty"))
    inside.fill(store, faces[:0])
    store.close()
    served = {}
    with started(data_dir=str(directory / "empty"), packages_dir=str(packages)) as service:
        resident = over_http.resident(service)
        for each in COUNT:
            for writers in WRITERS:
                prefix = f"w{writers}-{each}-"
                requests = over_http.enrolments(service.url, faces, prefix, COUNT[each], each)
                found = over_http.load(service.url, requests, writers, seconds)
                served[f"{writers} × {each}"] = round(found["per_second"] * each)
    return {
        "faces_enrolled_per_s_inside": {n: round(rate) for n, rate in alone.items()},
        "faces_enrolled_per_s_http": served,
        "empty_resident_bytes": resident,
    }


def _filled(data: Path, faces: Features) -> dict[str, Any]:
    store = open_store(Settings(data_dir=data))
    seconds = inside.fill(store, faces)
    store.keeper.purge().result()
    store.close()
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    return {"fill_seconds": round(seconds, 1), "disk_bytes_per_face": round(size / len(faces))}


def _served(
    data: Path, faces: Features, probes: Features, rounds: int, seconds: float, packages: Path
) -> dict[str, Any]:
    start = time.perf_counter()
    with started(data_dir=str(data), packages_dir=str(packages)) as service:
        ready = time.perf_counter() - start
        over_http.subjects(service.url, over_http.searches(service.url, probes[:1], "exact"))
        first = time.perf_counter() - start
        return {
            "restart_to_ready_s": round(ready, 2),
            "restart_to_first_answer_s": round(first, 2),
            "sides": _rounds(service.url, faces, probes, rounds, seconds),
            # After the rounds: until its codes are made in the background, fast is exact.
            "agreement": over_http.agreement(service.url, probes[:500]),
            "resident_bytes": over_http.resident(service),
        }


def _rounds(
    url: str, faces: Features, probes: Features, rounds: int, seconds: float
) -> dict[str, dict[str, float]]:
    sides = {name: partial(one_thread, work, seconds) for name, work in bare(faces, probes).items()}
    for mode in ("exact", "fast"):
        requests = over_http.searches(url, probes, mode)
        for clients in CLIENTS:
            side = partial(over_http.load, url, requests, clients, seconds)
            sides[f"norma_{mode}_{clients}"] = side
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(side())
    return {
        name: {key: round(statistics.median(one[key] for one in many), 3) for key in many[0]}
        for name, many in found.items()
    }


def _ratios(result: dict[str, Any]) -> dict[str, Any]:
    """What the issue's limits are about. The exact search reads one byte for each dimension."""
    sides, scanned = result["sides"], result["faces"] * DIM
    bare_int8 = min(side["p50_ms"] for name, side in sides.items() if "int8" in name)
    one = sides["norma_exact_1"]
    return {
        "exact_over_best_bare_int8": round(one["p50_ms"] / bare_int8, 2),
        "exact_gb_per_s": round(scanned / one["p50_ms"] / 1e6, 2),
        "exact_16_to_1": round(sides["norma_exact_16"]["per_second"] / one["per_second"], 2),
        "fast_16_to_1": round(
            sides["norma_fast_16"]["per_second"] / sides["norma_fast_1"]["per_second"], 2
        ),
    }
