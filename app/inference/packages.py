"""Installed packages to running networks: found by name, verified, self-tested, then used."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from app.errors import StartError
from app.inference.embed import OnnxRecogniser
from app.inference.session import Device, Session
from app.vision.detect import OnnxDetector
from export import golden, package
from export.errors import PackageError
from export.manifest import MODEL, DetectorManifest, RecogniserManifest
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


def open_recogniser(found: Package, device: Device) -> OnnxRecogniser:
    """A recogniser that reproduces its golden vectors. Raises StartError where it does not."""
    manifest = found.manifest
    if not isinstance(manifest, RecogniserManifest):
        raise StartError(f"{found.path}: is a {manifest.kind}, a recogniser is needed")
    session = Session(found.read(MODEL), manifest.input.name, [manifest.output], device)
    recogniser = OnnxRecogniser(session, manifest)
    arrays = _golden(found)
    features_ND = recogniser.features(arrays[golden.INPUTS])
    _refuse(found, golden.feature_problem(arrays[golden.FEATURES], features_ND))
    return recogniser


def open_detector(found: Package, device: Device) -> OnnxDetector:
    """A detector that reproduces its golden outputs. Raises StartError where it does not."""
    manifest = found.manifest
    if not isinstance(manifest, DetectorManifest):
        raise StartError(f"{found.path}: is a {manifest.kind}, a detector is needed")
    session = Session(found.read(MODEL), manifest.input.name, manifest.outputs, device)
    arrays = _golden(found)
    outputs = session.run(manifest.input.preprocessing()(arrays[golden.INPUTS]))
    expected = [arrays[f"output_{n}"] for n in range(len(manifest.outputs))]
    _refuse(found, golden.output_problem(expected, outputs))
    return OnnxDetector(session, manifest)


def _golden(found: Package) -> dict[str, NDArray[Any]]:
    try:
        return found.golden()
    except (PackageError, ValueError, OSError) as error:
        raise StartError(f"{found.path}: golden vectors cannot be read: {error}") from error


def _refuse(found: Package, problem: str | None) -> None:
    if problem:
        raise StartError(f"{found.path}: does not reproduce its golden vectors: {problem}")
