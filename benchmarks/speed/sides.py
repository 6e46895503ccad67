"""The sides of a comparison, all running at once, one of them asked at a time."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.inference.runtime import Runtime
from app.load.client import multipart, request
from app.load.loops import Answers, closed, open_loop
from benchmarks.served import free_port, running, wait_until_ready
from benchmarks.speed.bare import Bare
from benchmarks.speed.weights import Weights

EMBED = "/v1/embed?quality=off&encoding=base64"
VERIFY = "/v1/verify?quality=off&threshold=0.3"


class Side(Protocol):
    def closed(self, clients: int, seconds: float) -> Answers: ...


@dataclass(frozen=True, slots=True)
class Server:
    """A server under load with requests made beforehand."""

    url: str
    requests: Sequence[bytes]

    def closed(self, clients: int, seconds: float) -> Answers:
        return asyncio.run(closed(self.url, self.requests, clients, seconds))

    def open_loop(self, rate: float, seconds: float, seed: int) -> Answers:
        return asyncio.run(open_loop(self.url, self.requests, rate, seconds, seed))


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings of the service that are measured apart."""

    name: str
    settings: dict[str, str]


THOROUGH = Variant("service", {})
VARIANTS = (
    THOROUGH,
    Variant("service, quick", {"detection": "quick"}),
    Variant("service, bfloat16", {"arithmetic": "bfloat16"}),
    Variant("service, quick bfloat16", {"detection": "quick", "arithmetic": "bfloat16"}),
)


@contextmanager
def embedding(
    weights: Weights, packages: Path, photos: Sequence[bytes], variants: Sequence[Variant]
) -> Iterator[dict[str, Side]]:
    """One photo, one feature: the bare networks, the service's variants, and the peer."""
    with ExitStack() as stack:
        sides: dict[str, Side] = {"bare": Bare(weights, packages, photos, runtime())}
        for variant in variants:
            url = stack.enter_context(service(weights, packages, variant))
            sent = [request(url, EMBED, photo, "image/jpeg") for photo in photos]
            sides[variant.name] = Server(url, sent)
        if weights.files is not None:
            url = stack.enter_context(peer(weights))
            sent = [request(url, "/embed", photo, "image/jpeg") for photo in photos]
            sides["insightface"] = Server(url, sent)
        yield sides


@contextmanager
def verifying(
    weights: Weights, packages: Path, photos: Sequence[bytes], variants: Sequence[Variant]
) -> Iterator[dict[str, Side]]:
    """Two photos, one decision; the bare side does two photos' runs one after the other."""
    with ExitStack() as stack:
        sides: dict[str, Side] = {"bare": Bare(weights, packages, photos, runtime())}
        for variant in variants:
            url = stack.enter_context(service(weights, packages, variant))
            pairs = [(a, b) for a in photos for b in photos if a is not b]
            forms = [multipart({"image_a": a, "image_b": b}) for a, b in pairs]
            sides[variant.name] = Server(url, [request(url, VERIFY, *form) for form in forms])
        yield sides


def runtime() -> Runtime:
    return Runtime(workers=os.cpu_count() or 1)


@contextmanager
def service(weights: Weights, packages: Path, variant: Variant) -> Iterator[str]:
    named = {"detector": weights.detector, "recogniser": weights.recogniser}
    with tempfile.TemporaryDirectory() as data:  # each its own: one process holds it
        where = {"packages_dir": str(packages.absolute()), "data_dir": data}
        with running(**named, **where, **variant.settings) as url:
            yield url


@contextmanager
def peer(weights: Weights) -> Iterator[str]:
    assert weights.files is not None
    mean, std = weights.preprocessing.mean[0], weights.preprocessing.std[0]
    port = free_port()
    given = [*weights.files, mean, std, port]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.speed.peer", *map(str, given)],
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(f"{url}/readyz", process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)
