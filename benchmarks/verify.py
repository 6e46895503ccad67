"""Verify through HTTP beside the bare ONNX Runtime sessions on the same tensors.

    python -m benchmarks verify [--rounds N] [--seconds S]

The bare side does the arithmetic that cannot be avoided: for each pair two detector and two
recogniser runs on tensors prepared beforehand, one image a thread. Rounds of both sides alternate,
so that a noisy machine hurts both; the ratio of medians is the result.
"""

import argparse
import io
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import insightface
import numpy as np
import onnxruntime as ort
import skimage
from numpy.typing import NDArray
from PIL import Image as PillowImage

from app.domain import FaceSelect
from app.service import build_pipeline
from app.settings import Settings
from app.vision.align import align
from app.vision.detect import letterbox
from app.vision.select import select
from benchmarks.served import running
from export.manifest import MODEL
from export.package import Package

RESULTS = Path(__file__).parent / "results"
CLIENTS = (1, 2, 8)
Tensor = NDArray[np.float32]
Work = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over the rounds: pairs a second, and milliseconds."""

    rate: float
    p50_ms: float
    p99_ms: float


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("benchmarks verify")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args(arguments)
    photos = _photo("insightface", "Tom_Hanks_54745.png"), _photo("skimage", "astronaut.png")
    results = {}
    with (
        running() as url,
        httpx.Client(base_url=url, timeout=60) as client,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        sides = {"service": lambda: _verify(client, photos), "bare": _bare(photos, pool)}
        for clients in CLIENTS:
            results[clients] = _interleaved(sides, clients, given.rounds, given.seconds)
    _keep(results)


def _photo(package: str, name: str) -> bytes:
    """A real photo from a wheel that the tests use anyway, as a JPEG of 640×640."""
    folder = {"insightface": "data/images", "skimage": "data"}[package]
    module = {"insightface": insightface, "skimage": skimage}[package]
    path = Path(str(module.__file__)).parent / folder / name
    buffer = io.BytesIO()
    PillowImage.open(path).convert("RGB").resize((640, 640)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _verify(client: httpx.Client, photos: tuple[bytes, bytes]) -> None:
    files = {"image_a": photos[0], "image_b": photos[1]}
    params = {"threshold": 0.3, "quality": "off"}
    client.post("/v1/verify", params=params, files=files).raise_for_status()


def _bare(photos: tuple[bytes, bytes], pool: ThreadPoolExecutor) -> Work:
    """The arithmetic of one pair that nobody can avoid, one photo a thread."""
    pipeline, *packages = build_pipeline(Settings())
    sessions = [_session(package) for package in packages]
    tensors = []
    for photo in photos:
        found = pipeline.detect(photo)
        canvas, _ = letterbox(found.image.pixels, packages[0].manifest.input_sizes[-1])
        face = select(found.faces, found.image, FaceSelect.LARGEST)
        crop = align(found.image, face, pipeline.recogniser.template)
        pixels = (canvas, crop)
        tensors.append(
            [
                package.manifest.input.preprocessing()(one[None])
                for package, one in zip(packages, pixels, strict=True)
            ]
        )

    def run(pair: list[Tensor]) -> None:
        for session, tensor in zip(sessions, pair, strict=True):
            session.run(None, {session.get_inputs()[0].name: tensor})

    return lambda: list(pool.map(run, tensors)).clear()


def _session(package: Package) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(package.read(MODEL), options, providers=["CPUExecutionProvider"])


def _interleaved(
    sides: dict[str, Work], clients: int, rounds: int, seconds: float
) -> dict[str, Any]:
    for work in sides.values():
        _round(work, clients, 1.0)
    seen: dict[str, list[Figures]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            seen[name].append(_round(work, clients, seconds))
    medians = {name: _median(figures) for name, figures in seen.items()}
    ratios = [s.rate / b.rate for s, b in zip(seen["service"], seen["bare"], strict=True)]
    overhead = medians["service"].p50_ms / medians["bare"].p50_ms - 1
    return {name: asdict(one) for name, one in medians.items()} | {
        "rate_ratio": round(statistics.median(ratios), 3),
        "p50_overhead": round(overhead, 3),
    }


def _round(work: Work, clients: int, seconds: float) -> Figures:
    """Closed loop: each client sends its next request when the last one is answered."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    def client() -> None:
        while (start := time.perf_counter()) < end:
            work()
            latencies.append((time.perf_counter() - start) * 1000)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(latencies) / (time.perf_counter() - begin)
    return Figures(rate, *(float(np.percentile(latencies, q)) for q in (50, 99)))


def _median(figures: list[Figures]) -> Figures:
    rows = zip(*((one.rate, one.p50_ms, one.p99_ms) for one in figures), strict=True)
    return Figures(*(round(statistics.median(row), 2) for row in rows))


def _keep(results: dict[int, dict[str, Any]]) -> None:
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "onnxruntime": ort.__version__,
        "unit": "pairs of photos, 640×640 JPEG, default packages",
        "clients": results,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "verify.json").write_text(json.dumps(record, indent=2) + "\n")
    print("clients  service/s  p50 ms  p99 ms   bare/s  p50 ms   ratio  p50 overhead")
    for clients, row in results.items():
        s, b = row["service"], row["bare"]
        print(
            f"{clients:7}  {s['rate']:9.2f}  {s['p50_ms']:6.1f}  {s['p99_ms']:6.1f}  "
            f"{b['rate']:7.2f}  {b['p50_ms']:6.1f}  {row['rate_ratio']:6.3f}  "
            f"{row['p50_overhead']:12.1%}"
        )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
