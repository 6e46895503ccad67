"""An int8 package from a float32 one: quantised on crops of people, measured on others."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export import drift, precision
from export import manifest as schema
from export.calibrate.photos import FaceSource, Failure, PhotoList
from export.drift import BOUNDS
from export.embed import Embedder
from export.errors import CalibrationError
from export.evidence import QUANTISED, DriftFigures, Quantised
from export.figures import LabelledCrops
from export.importers.networks import About, import_recogniser
from export.package import Package


def find_crops(listed: PhotoList, source: FaceSource) -> LabelledCrops:
    """The aligned faces of the photos that have one. Raises CalibrationError where none has."""
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(source.find, [listed.root / one.name for one in listed.photos]))
    kept = [
        (face.crop, photo.subject)
        for face, photo in zip(found, listed.photos, strict=True)
        if not isinstance(face, Failure)
    ]
    if not kept:
        raise CalibrationError(f"no face in any of {len(found)} photos")
    subjects = np.unique([subject for _, subject in kept], return_inverse=True)[1]
    pixels = np.stack([crop for crop, _ in kept])
    return LabelledCrops(listed.root.name, pixels, subjects.astype(np.int64))


def quantise(parent: Package, crops: LabelledCrops, destination: Path) -> Package:
    """Write the int8 package of `parent`, a recogniser's; ranges from one half of the people.

    Its features are a space of their own: it has another contract id, and neither calibration
    nor quality is taken over. Raises DriftError where the other half's features move past
    `export.drift.BOUNDS`, CalibrationError where the people cannot be halved.
    """
    manifest = parent.manifest
    if not isinstance(manifest, schema.RecogniserManifest):
        raise CalibrationError(
            f"{parent.name} is a {manifest.kind}; only recognisers are quantised"
        )
    model, pixels = parent.read(schema.MODEL), manifest.input.preprocessing()
    seen_N = _half(crops.subjects)
    ranges = precision.sample(crops.pixels[seen_N])
    # Percentiles clip the activations of sharp faces, and their norms with them: by up to 10% on
    # SFace and MobileFaceNet, against 4% (benchmarks/results/variants.md).
    small = precision.to_int8(model, pixels(ranges), "minmax")
    batch = manifest.input.fixed_batch or 16
    before, after = Embedder(model, pixels, batch), Embedder(small, pixels, batch)
    found = drift.measure(before, after, crops.pixels[~seen_N], crops.subjects[~seen_N])
    drift.require(found, BOUNDS["int8"])
    record = Quantised(
        parent=parent.name,
        parent_contract_id=manifest.contract_id,
        parent_model=manifest.files[schema.MODEL].sha256,
        crops=len(ranges),
        drift=DriftFigures(data=crops.name, **asdict(found)),
    )
    return import_recogniser(
        destination,
        small,
        _about(manifest, destination.name),
        pixels,
        manifest.template.template(),
        lambda _: {QUANTISED: record.model_dump_json(indent=2).encode()},
        keep_prelu=True,  # quantising has rewritten them
    )


def _half(subjects_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which crops are of the first half of the people. The other must have pairs of both kinds."""
    seen_N: NDArray[np.bool_] = subjects_N % 2 == 0
    counts = np.bincount(subjects_N[~seen_N])
    if (counts > 0).sum() < 2 or counts.max() < 2:
        raise CalibrationError("needs at least four people, some of them with several photos")
    return seen_N


def _about(parent: schema.RecogniserManifest, name: str) -> About:
    return About(
        name=name,
        version=f"{parent.version}+int8"[:32],
        description=f"{parent.description}, int8 (from {parent.name})",
        source=parent.source,
        licence=parent.licence,
        training=parent.training,
    )
