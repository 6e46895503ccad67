"""The gallery beside bare FAISS and numpy on the same vectors, in the same process.

    python -m benchmarks gallery [--faces N] [--rounds R] [--seconds S] [--out FILE]

Vectors are clustered as identities are: five faces each, cosine 0.6 within one identity, spread in
150 dimensions of 512 besides noise. Probes are unseen faces of enrolled identities. Rounds of all
sides alternate, so that a noisy machine hurts all; medians are compared. Features go in, subjects
with their names come out; HTTP is not part of it.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from app.gallery import operations
from app.gallery.enrolment import Enrolment
from app.gallery.features import packed
from app.gallery.index.codes import encode
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.gallery.writer import Transaction

DIM, INTRINSIC, PER_SUBJECT, WITHIN = 512, 150, 5, 0.6
OWNER, NAME, CONTRACT = "owner", "people", "contract"
CLIENTS = (1, 4, 16)
Features = NDArray[np.float32]


def identities(count: int, seed: int = 0) -> tuple[Features, Features]:
    """(faces (5·count, D), one unseen probe for each of the first 1000), unit length."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0][:INTRINSIC].astype(np.float32)
    faces = np.empty((count * PER_SUBJECT, DIM), np.float32)
    probes = np.empty((0, DIM), np.float32)
    for start in range(0, count, 10_000):
        size = min(10_000, count - start)
        centres = _unit(rng.standard_normal((size, INTRINSIC)).astype(np.float32) @ basis)
        if start == 0:
            probes = _seen(centres[:1000], rng)
        rows = _seen(np.repeat(centres, PER_SUBJECT, axis=0), rng)
        faces[start * PER_SUBJECT : (start + size) * PER_SUBJECT] = rows
    return faces, probes


def _seen(centres: Features, rng: np.random.Generator) -> Features:
    noise = _unit(rng.standard_normal(centres.shape, np.float32))
    return _unit(centres * np.float32(WITHIN**0.5) + noise * np.float32((1 - WITHIN) ** 0.5))


def _unit(rows: Features) -> Features:
    unit: Features = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def fill(service: GalleryService, faces: Features) -> float:
    """Enrols everybody, many to a transaction; seconds."""
    service.create_gallery(OWNER, GallerySpec(NAME, CONTRACT, DIM, conflict="off", identify=True))
    start = time.perf_counter()
    for first in range(0, len(faces) // PER_SUBJECT, 200):
        service._store.write(lambda t, first=first: _some(t, faces, first))  # type: ignore[misc]
    return time.perf_counter() - start


def _some(transaction: Transaction, faces: Features, first: int) -> None:
    for n in range(first, min(first + 200, len(faces) // PER_SUBJECT)):
        rows = faces[n * PER_SUBJECT : (n + 1) * PER_SUBJECT]
        ready = [packed(NewFace(row), DIM, "float16") for row in rows]
        operations.add_faces(transaction, OWNER, NAME, f"s{n}", ready, "float16", SubjectSpec())


def search(service: GalleryService, probe: Features, fast: bool) -> list[str]:
    options = SearchOptions(k=10, fast=fast)
    answer = service.search(OWNER, NAME, probe, CONTRACT, options)
    return [match.subject.key for match in answer.matches]


def closed_loop(work: Callable[[int], object], clients: int, seconds: float) -> dict[str, float]:
    """Each client asks again as soon as it is answered."""
    times: list[list[float]] = [[] for _ in range(clients)]
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        n = number
        while time.perf_counter() < end:
            start = time.perf_counter()
            work(n)
            times[number].append(time.perf_counter() - start)
            n += clients

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    each = sorted(t for own in times for t in own)
    return {
        "per_second": len(each) / (time.perf_counter() - start),
        "p50_ms": 1000 * each[len(each) // 2],
        "p99_ms": 1000 * each[min(len(each) - 1, int(len(each) * 0.99))],
    }


def one_thread(work: Callable[[int], object], seconds: float) -> dict[str, float]:
    """Wall and CPU time of a bare call on this thread, medians."""
    walls, cpus = [], []
    end = time.perf_counter() + seconds
    n = 0
    while time.perf_counter() < end or n < 3:
        cpu, wall = time.thread_time(), time.perf_counter()
        work(n)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.thread_time() - cpu)
        n += 1
    return {
        "p50_ms": 1000 * statistics.median(walls),
        "best_ms": 1000 * min(walls),
        "cpu_ms": 1000 * min(cpus),
    }


def bare(faces: Features, probes: Features) -> dict[str, Callable[[int], object]]:
    """The same vectors in plain FAISS with one OpenMP thread, and in numpy."""
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(DIM)
    flat.add(faces)
    coded = faiss.IndexScalarQuantizer(
        DIM, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
    )
    for start in range(0, len(faces), 100_000):
        codes = encode(faces[start : start + 100_000]).codes
        coded.add(codes.astype(np.float32) - 128)
    levels = np.rint(probes / np.abs(probes).max(axis=1, keepdims=True) * 127)

    def by_numpy(n: int) -> object:
        scores = faces @ probes[n % 1000]
        return np.argpartition(scores, -10)[-10:]

    return {
        "faiss_flat_fp32": lambda n: flat.search(probes[n % 1000 : n % 1000 + 1], 10),
        "faiss_int8": lambda n: coded.search(levels[n % 1000 : n % 1000 + 1], 10),
        "numpy_fp32": by_numpy,
    }


def enrolments(directory: Path, faces: Features, writers: int, seconds: float) -> float:
    """Durable single-face enrolments a second."""
    service = GalleryService(GalleryStore(directory))
    spec = GallerySpec(NAME, CONTRACT, DIM, conflict="off", identify=True)
    service.create_gallery(OWNER, spec)

    def enrol(n: int) -> None:
        face = NewFace(faces[n % len(faces)])
        enrolment = Enrolment(f"s{n}", [face], CONTRACT, create=SubjectSpec())
        service.enrol(OWNER, NAME, enrolment)

    found = closed_loop(enrol, writers, seconds)["per_second"]
    service.close()
    return found


def agreement(service: GalleryService, probes: Features) -> dict[str, float]:
    """Of unseen probes: how often the right subject is first, and both tiers' first agree."""
    exact = [search(service, probe, False) for probe in probes]
    fast = [search(service, probe, True) for probe in probes]
    return {
        "probes": len(probes),
        "exact_right_first": float(np.mean([e[0] == f"s{n}" for n, e in enumerate(exact)])),
        "fast_right_first": float(np.mean([f[0] == f"s{n}" for n, f in enumerate(fast)])),
        "fast_same_first": float(np.mean([e[0] == f[0] for e, f in zip(exact, fast, strict=True)])),
        "fast_recall_at_10": float(
            np.mean([len(set(e) & set(f)) / 10 for e, f in zip(exact, fast, strict=True)])
        ),
    }


def wait_for_codes(service: GalleryService) -> float:
    start = time.perf_counter()
    gallery = service.gallery(OWNER, NAME)
    while any(
        part.segment.fast is None
        for part in service._store.projections.get(gallery).view.parts
        if part.segment.full
    ):
        time.sleep(0.05)
    return time.perf_counter() - start


def measure(count: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Everything, on `count` faces."""
    faces, probes = identities(count // PER_SUBJECT)
    directory = Path(tempfile.mkdtemp(prefix="gallery-benchmark-"))
    result: dict[str, Any] = {"faces": len(faces), "dim": DIM, "cores": os.cpu_count()}
    result |= {"machine": platform.processor() or platform.machine(), "faiss": faiss.__version__}
    try:
        result["enrols_per_second"] = {
            str(writers): round(enrolments(directory / f"e{writers}", faces, writers, seconds))
            for writers in (1, 16, 64)
        }
        service = GalleryService(GalleryStore(directory / "data"))
        result["fill_seconds"] = round(fill(service, faces), 1)
        service._store.keeper.purge().result()
        service.close()
        size = sum(path.stat().st_size for path in (directory / "data").rglob("*"))
        result["disk_bytes_per_face"] = round(size / len(faces))
        before = _rss()
        start = time.perf_counter()
        service = GalleryService(GalleryStore(directory / "data"))
        search(service, probes[0], False)
        result["restart_to_first_answer_seconds"] = round(time.perf_counter() - start, 2)
        result["memory_bytes_per_face"] = round((_rss() - before) / len(faces))
        result["coding_seconds"] = round(wait_for_codes(service), 1)
        result |= _compare(service, faces, probes, rounds, seconds)
        result["agreement"] = agreement(service, probes[:200])
        service.close()
    finally:
        shutil.rmtree(directory)
    result["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return result


def _compare(
    service: GalleryService, faces: Features, probes: Features, rounds: int, seconds: float
) -> dict[str, Any]:
    sides = bare(faces, probes)
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, work in sides.items():
            found.setdefault(name, []).append(one_thread(work, seconds))
        for fast in (False, True):
            for clients in CLIENTS:
                name = f"norma_{'fast' if fast else 'exact'}_{clients}"
                found.setdefault(name, []).append(
                    closed_loop(
                        lambda n, fast=fast: search(service, probes[n % 1000], fast),  # type: ignore[misc]
                        clients,
                        seconds,
                    )
                )
    return {
        name: {key: round(statistics.median(one[key] for one in many), 2) for key in many[0]}
        for name, many in found.items()
    }


def _rss() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main(arguments: list[str]) -> None:
    """Prints the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gallery")
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    with ThreadPoolExecutor(1) as executor:  # OpenMP's setting stays in this one thread
        result = executor.submit(measure, options.faces, options.rounds, options.seconds).result()
    text = json.dumps(result, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")
