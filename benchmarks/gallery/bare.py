"""The same vectors without a service around them, and what the memory gives."""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np

from app.gallery.index.codes import encode
from benchmarks.gallery.vectors import DIM, Features


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
    """The same vectors in plain FAISS, with one OpenMP thread and with all, and in numpy."""
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
        scores = faces @ probes[n % len(probes)]
        return np.argpartition(scores, -10)[-10:]

    def by_faiss(index: faiss.Index, rows: Features, threads: int) -> Callable[[int], object]:
        def work(n: int) -> object:
            faiss.omp_set_num_threads(threads)
            return index.search(rows[n % len(rows)][None], 10)

        return work

    sides: dict[str, Callable[[int], object]] = {"numpy_fp32": by_numpy}
    for threads in sorted({1, os.cpu_count() or 1}):
        sides[f"faiss_fp32_{threads}t"] = by_faiss(flat, probes, threads)
        sides[f"faiss_int8_{threads}t"] = by_faiss(coded, levels, threads)
    return sides


def bandwidth(threads: int, megabytes: int = 512) -> float:
    """GB/s of reading an array far beyond the caches; the best of five."""
    array = np.ones(megabytes * 2**20 // 8, np.int64)
    parts = np.array_split(array, threads)
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(np.max, parts))
            times.append(time.perf_counter() - start)
    return array.nbytes / min(times) / 1e9
