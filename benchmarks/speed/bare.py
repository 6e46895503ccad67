"""The limit: the same networks on tensors prepared beforehand, and nothing else.

For each photo the runs that the service makes: the detector at both of its sizes and the recogniser
once; as many threads as cores, each on shared sessions of one thread.
"""

import threading
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain import FaceSelect
from app.inference.packages import find
from app.inference.runtime import Runtime
from app.inference.session import Network
from app.load.loops import Answers
from app.service import build_pipeline
from app.settings import Settings
from app.vision.align import align
from app.vision.detect import BFLOAT16_FAMILIES, CLOSE_UP_SIDE, letterbox
from app.vision.select import select
from benchmarks.speed.weights import Weights
from export.manifest import MODEL, DetectorManifest, RecogniserManifest

Run = tuple[Network, NDArray[np.float32]]


class Bare:
    """A closed loop over the runs of some photos."""

    def __init__(
        self, weights: Weights, packages: Path, photos: Sequence[bytes], runtime: Runtime
    ) -> None:
        self._photos = _runs(weights, packages, photos, runtime)

    def closed(self, clients: int, seconds: float) -> Answers:
        """`clients` threads, each beginning with the next photo when its last is done."""
        found: list[float] = []
        turns = count()
        start = time.perf_counter()

        def client() -> None:
            while (begun := time.perf_counter()) < start + seconds:
                for network, tensor in self._photos[next(turns) % len(self._photos)]:
                    network.run(tensor)
                found.append((time.perf_counter() - begun) * 1000)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - start
        return Answers(np.array(found), np.full(len(found), 200), taken)


def _runs(
    weights: Weights, packages: Path, photos: Sequence[bytes], runtime: Runtime
) -> list[list[Run]]:
    settings = Settings(
        packages_dir=packages, detector=weights.detector, recogniser=weights.recogniser
    )
    pipeline = build_pipeline(settings)[0]
    detector, recogniser = (find(name, packages) for name in (weights.detector, weights.recogniser))
    looks, knows = detector.manifest, recogniser.manifest
    assert isinstance(looks, DetectorManifest)
    assert isinstance(knows, RecogniserManifest)
    exact = runtime if looks.family in BFLOAT16_FAMILIES else runtime.exact()
    finder = exact.opening(lambda: detector.read(MODEL), looks.input.name, looks.outputs)()
    embedder = runtime.opening(lambda: recogniser.read(MODEL), knows.input.name, [knows.output])()
    runs: list[list[Run]] = []
    for photo in photos:
        found = pipeline.detect(photo)
        image = found.image
        longest = max(image.pixels.shape[:2])
        sizes = looks.input_sizes
        main = next((size for size in sizes if size >= longest), sizes[-1])
        face = select(found.faces, image, FaceSelect.LARGEST)
        crop = align(image, face, pipeline.recogniser.template)
        canvases = [letterbox(image.pixels, side)[0] for side in (main, CLOSE_UP_SIDE)]
        tensors = [looks.input.preprocessing()(canvas[None]) for canvas in canvases]
        runs.append(
            [(finder, tensor) for tensor in tensors]
            + [(embedder, knows.input.preprocessing()(crop[None]))]
        )
    pipeline.close()
    return runs
