"""Small packages that hold no real network, for what never opens the network."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from export import contract, golden, package
from export.manifest import CALIBRATION, GOLDEN, MANIFEST, MODEL, QUALITY
from export.package import Package

PIXELS = contract.Preprocessing("RGB", (127.5, 127.5, 127.5), (128.0, 128.0, 128.0))
DIM = 4
WEIGHTS = b"weights of no network"


def files() -> dict[str, bytes]:
    features = np.ones((2, DIM), dtype=np.float32)
    arrays = {golden.INPUTS: golden.inputs(112, count=2), golden.FEATURES: features}
    return {MODEL: WEIGHTS, GOLDEN: package.npz(arrays)}


def facts(name: str = "sample") -> dict[str, Any]:
    """A recogniser manifest's fields, except `files`."""
    template = contract.ARCFACE_112
    return {
        "kind": "recogniser",
        "name": name,
        "version": "1",
        "description": "a sample",
        "source": "nowhere",
        "created": "2026-01-02T03:04:05+00:00",
        "licence": {"name": "MIT", "commercial_use": True},
        "training": {"data": "nothing", "loss": "none"},
        "opset": 17,
        "input": {
            "name": "image",
            "colour_order": PIXELS.colour_order,
            "mean": list(PIXELS.mean),
            "std": list(PIXELS.std),
        },
        "template": {
            "name": template.name,
            "size": template.size,
            "points": [list(point) for point in template.points],
        },
        "output": "feature",
        "dim": DIM,
        "normalised": False,
        "contract_id": contract.contract_id(package.sha256(WEIGHTS), PIXELS, template, DIM),
    }


def detector_facts() -> dict[str, Any]:
    of_recognisers = ("template", "output", "dim", "normalised", "contract_id")
    shared = {key: value for key, value in facts().items() if key not in of_recognisers}
    return shared | {
        "kind": "detector",
        "family": "scrfd",
        "outputs": [f"output_{n}" for n in range(9)],
        "score_threshold": 0.5,
        "nms_threshold": 0.4,
        "input_sizes": [320, 640],
    }


def calibration() -> dict[str, Any]:
    """A calibration of the sample."""
    rates = {"measured_fmr": 0.01, "fmr_interval": [0, 0.02], "fnmr": 0.1, "fnmr_interval": [0, 1]}
    return {
        "contract_id": facts()["contract_id"],
        "measured": "2026-01-02T03:04:05+00:00",
        "data": {
            "name": "pairs",
            "subjects": 10,
            "images": 100,
            "genuine": 450,
            "impostor": 4500,
            "failures_to_detect": 0,
            "detector": "a detector",
        },
        "interval": "none",
        "points": [
            {"fmr": 0.01, "threshold": 0.3, **rates},
            {"fmr": 0.001, "threshold": 0.4, **rates},
        ],
    }


def quality() -> dict[str, Any]:
    """A quality curve of the sample."""
    return {
        "contract_id": facts()["contract_id"],
        "basis": "norm",
        "centre": 8.0,
        "width": 2.0,
        "gates": {"enrol": 6.0, "query": 4.0},
        "data": "pairs",
        "images": 100,
    }


def tables() -> dict[str, bytes]:
    return {
        CALIBRATION: json.dumps(calibration()).encode(),
        QUALITY: json.dumps(quality()).encode(),
    }


def write(path: Path) -> Package:
    """A recogniser package without tables."""
    return package.write(path, files(), facts(path.name))


def manifest_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / MANIFEST).read_text())
    return found


def set_manifest(path: Path, manifest: dict[str, Any]) -> None:
    (path / MANIFEST).write_text(json.dumps(manifest))
