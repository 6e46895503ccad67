"""Installed packages to running networks: found by name, verified, self-tested, then used."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import NormaError, StartError
from app.inference.embed import OnnxRecogniser
from app.inference.gathering import GatheredNetwork, Split, rows
from app.inference.policy import Gathered
from app.inference.renewal import RenewedSession
from app.inference.runtime import CPU, Runtime
from app.inference.session import FIRST_GPU, Network
from app.telemetry.meters import Network as NetworkName
from app.vision.detect import BFLOAT16_FAMILIES, SPLITS, OnnxDetector
from export import golden, package
from export.errors import PackageError
from export.manifest import GOLDEN, MODEL, DetectorManifest, RecogniserManifest
from export.package import Package


def find(name_or_path: str, packages_dir: Path) -> Package:
    """The package of that name in `packages_dir`, or at that path, verified.

    Raises StartError with what to do about it.
    """
    path = packages_dir / name_or_path
    if "/" in name_or_path or name_or_path in (".", ".."):
        path = Path(name_or_path)
    if not path.is_dir():
        have = ", ".join(sorted(installed(packages_dir))) or "none"
        raise StartError(
            f"there is no package {name_or_path!r} (installed in {packages_dir}: {have}); "
            "`norma models defaults` installs the default ones"
        )
    try:
        return package.load(path)
    except PackageError as error:
        raise StartError(str(error)) from error


def installed(packages_dir: Path) -> list[str]:
    """Names of the package directories in `packages_dir`, unverified."""
    if not packages_dir.is_dir():
        return []
    return sorted(
        path.name
        for path in packages_dir.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )


def open_recogniser(
    found: Package, runtime: Runtime = CPU, gathered: Gathered | None = None
) -> OnnxRecogniser:
    """A recogniser that reproduces its golden vectors. Raises StartError where it does not."""
    manifest = found.manifest
    if not isinstance(manifest, RecogniserManifest):
        raise StartError(f"{found.path}: is a {manifest.kind}, a recogniser is needed")
    with _naming(found):
        sessions = _sessions(found, (manifest.input.name, [manifest.output]), runtime, gathered)
        inputs, expected_ND = _golden(found, golden.INPUTS, golden.FEATURES)
        for session in sessions:
            features_ND = OnnxRecogniser(session, manifest).features(inputs)
            _refuse(golden.feature_problem(expected_ND, features_ND))
    return OnnxRecogniser(_together(sessions, gathered, rows, "recogniser"), manifest)


def open_detector(
    found: Package, runtime: Runtime = CPU, gathered: Gathered | None = None
) -> OnnxDetector:
    """A detector that reproduces its golden outputs. Raises StartError where it does not."""
    manifest = found.manifest
    if not isinstance(manifest, DetectorManifest):
        raise StartError(f"{found.path}: is a {manifest.kind}, a detector is needed")
    runtime = runtime if manifest.family in BFLOAT16_FAMILIES else runtime.exact()
    with _naming(found):
        sessions = _sessions(found, (manifest.input.name, manifest.outputs), runtime, gathered)
        names = [f"output_{n}" for n in range(len(manifest.outputs))]
        inputs, *expected = _golden(found, golden.INPUTS, *names)
        for session in sessions:
            outputs = session.run(manifest.input.preprocessing()(inputs))
            _refuse(runtime.output_problem(expected, outputs))
    return OnnxDetector(
        _together(sessions, gathered, SPLITS[manifest.family], "detector"), manifest
    )


def _sessions(
    found: Package, names: tuple[str, Sequence[str]], runtime: Runtime, gathered: Gathered | None
) -> list[RenewedSession]:
    """One for each place; opened anew, should one have to be, from the same verified file."""
    places = gathered.places if gathered else (FIRST_GPU,)
    return [
        RenewedSession(runtime.opening(lambda: found.read(MODEL), *names, place))
        for place in places
    ]


def _together(
    sessions: Sequence[Network], gathered: Gathered | None, split: Split, name: NetworkName
) -> Network:
    if gathered is None:
        return sessions[0]
    return GatheredNetwork(sessions, split, gathered.options, name, gathered.meters)


@contextmanager
def _naming(found: Package) -> Iterator[None]:
    """Whatever goes wrong inside says which package it was."""
    try:
        yield
    except PackageError as error:
        raise StartError(str(error)) from error
    except NormaError as error:
        raise StartError(f"{found.path}: {error.message}") from error


def _golden(found: Package, *names: str) -> list[NDArray[Any]]:
    arrays = found.golden()
    for name in names:
        if name not in arrays:
            raise StartError(f"{GOLDEN} holds no {name!r}")
    inputs = arrays[golden.INPUTS]
    if inputs.dtype != np.uint8 or inputs.ndim != 4 or inputs.shape[-1] != 3:
        raise StartError(f"{GOLDEN}: {inputs.dtype} {inputs.shape} are not images")
    return [arrays[name] for name in names]


def _refuse(problem: str | None) -> None:
    if problem:
        raise StartError(f"does not reproduce its golden vectors: {problem}")
