"""`norma doctor`: what is installed, what runs, and what to fix."""

import os
import platform
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import typer
from rich.markup import escape

from app.commands.common import out, settings, unused_variables
from app.configuration.directories import check_directories
from app.errors import StartError
from app.inference import packages
from app.inference.policy import choose
from app.security.start import open_guard
from app.settings import Settings
from export import package
from export.errors import PackageError

_ONE_OF = (
    ("onnxruntime", "onnxruntime-gpu"),
    ("faiss-cpu", "faiss-gpu"),
    ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact; `fix` says what to do where it is a problem."""

    what: str
    fact: str
    fix: str | None = None


def doctor() -> None:
    """Check this installation. Ends with status 1 where something must be fixed."""
    findings = list(examine(settings()))
    for one in findings:
        mark = "[red]✗[/]" if one.fix else "[green]✓[/]"
        out.print(f"{mark} {one.what:<12}{escape(one.fact)}")
        if one.fix:
            out.print(f"              → {one.fix}", markup=False)
    if any(one.fix for one in findings):
        raise typer.Exit(1)


def examine(chosen: Settings) -> Iterator[Finding]:
    """Everything worth knowing, in the order in which it should be fixed."""
    yield Finding("norma", version("norma"))
    yield Finding(
        "python",
        f"{platform.python_version()} on {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores",
    )
    for family in _ONE_OF:
        yield _exactly_one(family)
    yield _providers(chosen)
    if unused := unused_variables():
        yield Finding("variables", f"without effect, being no settings: {', '.join(unused)}")
    yield _data_dir(chosen)
    yield _callers(chosen)
    yield from _packages(chosen)
    yield from _roles(chosen)


def _exactly_one(family: tuple[str, ...]) -> Finding:
    found = {name: number for name in family if (number := _version(name))}
    fact = ", ".join(f"{name} {number}" for name, number in found.items()) or "missing"
    what = family[0].split("-")[0]
    if len(found) == 1:
        return Finding(what, fact)
    names = " or ".join(family)
    return Finding(what, fact, f"keep exactly one of {names}: they share one import name")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _providers(chosen: Settings) -> Finding:
    try:
        import onnxruntime as ort  # its absence is a finding, not a crash
    except ImportError as error:
        return Finding("providers", str(error), "install the cpu or the gpu environment")
    offered = ort.get_available_providers()
    fix = None
    if chosen.device == "cuda" and "CUDAExecutionProvider" not in offered:
        fix = "NORMA_DEVICE=cuda needs the gpu environment (make serve DEVICE=gpu)"
    return Finding("providers", ", ".join(offered), fix)


def _data_dir(chosen: Settings) -> Finding:
    where = chosen.data_dir
    try:
        check_directories(chosen)
    except StartError as error:
        return Finding("data dir", error.message, "name another place, or change its owner or mode")
    if not where.is_dir():
        return Finding("data dir", f"{where} is missing", "`norma models defaults` creates it")
    return Finding("data dir", str(where.resolve()))


def _callers(chosen: Settings) -> Finding:
    try:
        with closing(open_guard(chosen)) as guard:
            active = len(guard.ring.active())
            fact = f"{active} active key(s)" if guard.ring.guarded() else "anyone on this machine"
    except StartError as error:
        return Finding("callers", "nobody: the service would not start", error.message)
    return Finding("callers", fact)


def _packages(chosen: Settings) -> Iterator[Finding]:
    for name in packages.installed(chosen.packages_dir):
        try:
            found = package.load(chosen.packages_dir / name)
            found.calibration(), found.quality()
        except PackageError as error:
            yield Finding("package", name, f"{error}; remove it and import it anew")
        else:
            manifest = found.manifest
            yield Finding(
                "package", f"{name} {manifest.version}, {manifest.kind}, {manifest.licence.name}"
            )


def _roles(chosen: Settings) -> Iterator[Finding]:
    for role, name, opening in (
        ("detector", chosen.detector, packages.open_detector),
        ("recogniser", chosen.recogniser, packages.open_recogniser),
    ):
        try:
            running = opening(packages.find(name, chosen.packages_dir), choose(chosen).runtime)
        except StartError as error:
            yield Finding(role, name, error.message)
        else:
            yield Finding(role, f"{name} reproduces its golden vectors on {running.provider}")
