"""The service on a GPU beside its bare networks at their best batch, and FAISS's flat index.

    python -m benchmarks gpu [--device cuda | cpu] [--tensorrt] [--faces 1000000,10000000]

Run it in the gpu environment (`make serve DEVICE=gpu` creates it, and httpx and matplotlib are
needed besides). `--device cpu` takes the same way through the same code where there is no GPU; its
figures say nothing about one. The device's memory bandwidth is what FAISS's scan is held against:
by copying within the device, with torch where it is installed.
"""

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from app.inference.packages import find
from app.inference.runtime import Runtime
from app.inference.session import Cuda, Network
from app.load.client import request
from app.settings import Settings
from app.vision.detect import CLOSE_UP_SIDE
from benchmarks.machine import machine
from benchmarks.served import running
from benchmarks.speed.photos import photos
from benchmarks.speed.sides import EMBED, Server
from export.manifest import MODEL, DetectorManifest, RecogniserManifest
from export.package import Package

RESULTS = Path(__file__).parent / "results"
DIM = 512
Device = Literal["cpu", "cuda"]
Call = Callable[[], object]


def rate(call: Call, seconds: float) -> float:
    """Calls a second, after two that do not count."""
    call(), call()
    done, begun = 0, time.perf_counter()
    while (taken := time.perf_counter() - begun) < seconds:
        call()
        done += 1
    return done / taken


def networks(
    packages: Sequence[Package], place: tuple[Device, Cuda], batches: Sequence[int], seconds: float
) -> dict[str, dict[str, float]]:
    """Images a second of each network at each input and batch size, from the host and back."""
    device, cuda = place
    found: dict[str, dict[str, float]] = {}
    for package in packages:
        manifest = package.manifest
        outputs = manifest.outputs if isinstance(manifest, DetectorManifest) else [manifest.output]
        opening = Runtime(device).opening(
            lambda package=package: package.read(MODEL),  # type: ignore[misc]
            manifest.input.name,
            outputs,
            cuda,
        )
        network = opening()
        for side in _sides(package):
            found[f"{manifest.name} {side}"] = dict(_rates(network, side, batches, seconds))
        network.close()
    return found


def _sides(package: Package) -> list[int]:
    manifest = package.manifest
    if isinstance(manifest, RecogniserManifest):
        return [manifest.template.template().size]
    return [max(manifest.input_sizes), CLOSE_UP_SIDE]


def _rates(
    network: Network, side: int, batches: Sequence[int], seconds: float
) -> Iterator[tuple[str, float]]:
    for batch in batches if network.batchable else [1]:
        images = np.random.default_rng(0).standard_normal((batch, 3, side, side), np.float32)
        yield str(batch), round(batch * rate(lambda images=images: network.run(images), seconds), 1)


def limit(rates: dict[str, dict[str, float]]) -> float:
    """Photos a second of one device that does nothing but these runs, each at its best batch."""
    return 1 / sum(1 / max(one.values()) for one in rates.values())


def service(
    device: Device, tensorrt: bool, clients: Sequence[int], rounds: int, seconds: float
) -> dict[str, dict[str, float]]:
    """Embeddings over HTTP, closed loops."""
    packages, sent = str(Settings().packages_dir.absolute()), photos()
    chosen = {"device": device, "tensorrt": str(int(tensorrt))}
    with (
        tempfile.TemporaryDirectory() as data,
        running(packages_dir=packages, data_dir=data, **chosen) as url,
    ):
        server = Server(url, [request(url, EMBED, photo, "image/jpeg") for photo in sent])
        server.closed(max(clients), 2 * seconds)
        return {str(number): _row(server, number, rounds, seconds) for number in clients}


def _row(server: Server, clients: int, rounds: int, seconds: float) -> dict[str, float]:
    answers = [server.closed(clients, seconds) for _ in range(rounds)]
    return {
        "rate": round(statistics.median(one.rate for one in answers), 1),
        "p50_ms": round(statistics.median(one.quantile(0.5) for one in answers), 1),
        "p99_ms": round(statistics.median(one.quantile(0.99) for one in answers), 1),
        "not_good": sum(int((~one.good).sum()) for one in answers),
    }


def flat(device: Device, count: int, half: bool, seconds: float) -> dict[str, float]:
    """FAISS's exact search over so many random unit vectors, one query and 64 at a time."""
    index = _index(device, half)
    rng = np.random.default_rng(0)
    for start in range(0, count, 100_000):
        index.add(_unit(rng, min(100_000, count - start)))
    row: dict[str, float] = {}
    for queries in (1, 64):
        asked = _unit(rng, queries)
        searches = rate(lambda asked=asked: index.search(asked, 10), seconds)
        row[f"ms_of_{queries}"] = round(1000 / searches, 3)
    read = count * DIM * (2 if half else 4)
    row["gb_per_second"] = round(read / (row["ms_of_1"] / 1000) / 1e9, 1)
    return row


def _index(device: Device, half: bool) -> Any:  # noqa: ANN401 - faiss is untyped
    if device == "cpu":
        if half:
            kind = faiss.ScalarQuantizer.QT_fp16
            return faiss.IndexScalarQuantizer(DIM, kind, faiss.METRIC_INNER_PRODUCT)
        return faiss.IndexFlatIP(DIM)
    config = faiss.GpuIndexFlatConfig()
    config.useFloat16 = half
    return faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), DIM, config)


def _unit(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    rows = rng.standard_normal((count, DIM), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def bandwidth(device: Device, seconds: float) -> float | None:
    """Bytes read a second, in GB, by copying 256 MiB; None where a GPU is and torch is not."""
    size = 64 << 20
    if device == "cpu":
        values = np.ones(size, np.float32)
        into = np.empty_like(values)
        return round(rate(lambda: np.copyto(into, values), seconds) * values.nbytes * 2 / 1e9, 1)
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    there = torch.ones(size, device="cuda")
    copy = torch.empty_like(there)

    def once() -> None:
        copy.copy_(there)
        torch.cuda.synchronize()

    return round(rate(once, seconds) * 4 * size * 2 / 1e9, 1)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """All of it."""
    settings = Settings()
    names = (settings.detector, settings.recogniser)
    packages = [find(name, settings.packages_dir) for name in names]
    place = given.device, Cuda(tensorrt=given.tensorrt)
    rates = networks(packages, place, given.batches, given.seconds)
    served = service(given.device, given.tensorrt, given.clients, given.rounds, given.seconds)
    best = max(row["rate"] for row in served.values())
    return machine() | {
        "device": given.device,
        "tensorrt": given.tensorrt,
        "cores": os.cpu_count(),
        "networks": rates,
        "limit": round(limit(rates), 1),
        "service": served,
        "of_limit": round(best / limit(rates), 3),
        "bandwidth_gb": bandwidth(given.device, given.seconds),
        "flat": {
            f"{count} {'fp16' if half else 'fp32'}": flat(given.device, count, half, given.seconds)
            for count in given.faces
            for half in (False, True)
        },
    }


def main(arguments: list[str]) -> None:
    """Prints the record as JSON, and keeps it."""
    parser = argparse.ArgumentParser("benchmarks gpu")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tensorrt", action="store_true")
    parser.add_argument("--batches", type=_numbers, default=[1, 8, 16, 32, 64])
    parser.add_argument("--clients", type=_numbers, default=[1, 8, 64, 256])
    parser.add_argument("--faces", type=_numbers, default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json")
    given = parser.parse_args(arguments)
    text = json.dumps(measure(given), indent=2) + "\n"
    given.out.write_text(text)
    print(text)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]
