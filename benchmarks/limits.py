"""How near the networks come to the processor's arithmetic, and what a second core adds.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks limits [--rounds N] [PACKAGE …]

The peak of one core is what it reaches in practice: the best large float32 matrix product of
numpy's BLAS on one thread. A network's share of it is its multiplications and additions (of
convolutions and matrices, all else counts as lost time) over the time of one image on one thread.
Interleaved, medians.
"""

import argparse
import json
import math
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from app.inference.packages import find, installed
from app.inference.runtime import CPU
from app.settings import Settings
from benchmarks.machine import machine
from export.manifest import MODEL, DetectorManifest, RecogniserManifest
from export.package import Package

RESULTS = Path(__file__).parent / "results"
SIZE = 1536
DETECTOR_SIDE = 640
Run = Callable[[], object]
Shapes = dict[str, tuple[int, ...]]


def multiplications(model: bytes, inputs: NDArray[np.float32]) -> int:
    """Of one run, by the shapes that it really has."""
    network = onnx.load_from_string(model)
    nodes = [node for node in network.graph.node if node.op_type in COUNTED]
    fixed = {one.name: tuple(one.dims) for one in network.graph.initializer}
    names = {name for node in nodes for name in (*node.input[:2], node.output[0])} - set(fixed)
    names -= {network.graph.input[0].name}
    del network.graph.output[:]
    network.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(names))
    session = ort.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(sorted(names), {network.graph.input[0].name: inputs})
    shapes = fixed | {name: one.shape for name, one in zip(sorted(names), values, strict=True)}
    shapes[network.graph.input[0].name] = inputs.shape
    return sum(COUNTED[node.op_type](node, shapes) for node in nodes)


def _convolution(node: onnx.NodeProto, shapes: Shapes) -> int:
    return math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])


def _product(node: onnx.NodeProto, shapes: Shapes) -> int:
    return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


COUNTED = {"Conv": _convolution, "Gemm": _product, "MatMul": _product}


def _shape(package: Package) -> tuple[int, ...]:
    manifest = package.manifest
    if isinstance(manifest, RecogniserManifest):
        size = manifest.template.template().size
        return (1, 3, size, size)
    return (1, 3, DETECTOR_SIDE, DETECTOR_SIDE)


def _run(package: Package) -> Run:
    manifest = package.manifest
    outputs = manifest.outputs if isinstance(manifest, DetectorManifest) else [manifest.output]
    network = CPU.opening(lambda: package.read(MODEL), manifest.input.name, outputs)()
    noise = _noise(package)
    return lambda: network.run(noise)


def _noise(package: Package) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(_shape(package), np.float32)


def _peak() -> Run:
    left = np.random.default_rng(0).standard_normal((SIZE, SIZE), np.float32)
    out = np.empty_like(left)
    return lambda: np.matmul(left, left, out=out)


def _seconds(run: Run, least: float) -> float:
    """Median time of a call, over about `least` seconds."""
    times: list[float] = []
    while sum(times) < least or len(times) < 3:
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _rate(run: Run, threads: int, seconds: float) -> float:
    """Runs a second of so many threads on one shared session."""
    done = [0] * threads
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < end:
            run()
            done[number] += 1

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done) / (time.perf_counter() - begun)


def measure(packages: list[Package], rounds: int, seconds: float) -> dict[str, Any]:
    """Each network's milliseconds, share of the peak, and two threads' rate over one's."""
    peak, runs = _peak(), {one.manifest.name: _run(one) for one in packages}
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in runs}
    peaks: list[float] = []
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            best = min(_seconds(peak, seconds / 4), _seconds(peak, seconds / 4))
            peaks.append(2 * SIZE**3 / best)
            one = _seconds(run, seconds)
            scaling = _rate(run, 2, seconds) / _rate(run, 1, seconds)
            seen[name].append((one, peaks[-1], scaling))
    works = {one.manifest.name: multiplications(one.read(MODEL), _noise(one)) for one in packages}
    return {
        "peak_gflops": round(statistics.median(peaks) / 1e9, 1),
        "networks": {name: _row(works[name], found) for name, found in seen.items()},
    }


def _row(work: int, found: list[tuple[float, float, float]]) -> dict[str, float]:
    def median(values: Iterator[float], digits: int) -> float:
        return round(statistics.median(values), digits)

    return {
        "mmacs": round(work / 1e6, 1),
        "ms": median((1000 * seconds for seconds, _, _ in found), 2),
        "share_of_peak": median((2 * work / s / peak for s, peak, _ in found), 3),
        "two_threads_over_one": median((scaling for _, _, scaling in found), 2),
    }


def page(record: dict[str, Any]) -> str:
    """A Markdown table."""
    lines = [
        "# The networks beside the processor's arithmetic",
        "",
        f"{record['date']}, commit {record['commit']}, {record['cpu']}, {record['cores']} cores, "
        f"onnxruntime {record['versions']['onnxruntime']}; load before {record['load_before']}. "
        f"One core's float32 matrix product: {record['peak_gflops']} GFLOP/s. Detectors at "
        f"{DETECTOR_SIDE}×{DETECTOR_SIDE}; batch 1, one thread; medians of {record['rounds']} "
        "rounds.",
        "",
        "| network | million MACs | ms | share of the peak | two threads over one |",
        "|---|---|---|---|---|",
    ]
    for name, row in record["networks"].items():
        lines.append(
            f"| {name} | {row['mmacs']:,.0f} | {row['ms']} | {row['share_of_peak']:.0%} | "
            f"{row['two_threads_over_one']} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("benchmarks limits")
    parser.add_argument("packages", nargs="*", metavar="PACKAGE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        parser.error("set OPENBLAS_NUM_THREADS=1: the peak is one core's")
    where = Settings().packages_dir
    names = given.packages or sorted(installed(where))
    record = machine() | {"rounds": given.rounds}
    record |= measure([find(name, where) for name in names], given.rounds, given.seconds)
    (given.out / "limits.json").write_text(json.dumps(record, indent=2) + "\n")
    (given.out / "limits.md").write_text(page(record))
    print(page(record))
