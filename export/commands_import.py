"""`norma models import …`: foreign models into packages."""

import math
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from export import manifest as schema
from export import package
from export.contract import TEMPLATES, Preprocessing
from export.places import DEFAULT_DATA, DataDir, packages_dir

importing = typer.Typer(help="Turn foreign models into packages.", no_args_is_help=True)
out = Console(highlight=False, soft_wrap=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, show_default=False)]
Directory = Annotated[Path, typer.Argument(exists=True, file_okay=False, show_default=False)]
Name = Annotated[str, typer.Option(help="Name of the new package.")]
LicenceName = Annotated[str, typer.Option(help="Licence of the weights.")]
Commercial = Annotated[bool, typer.Option(help="Whether that licence allows commercial use.")]
TrainedOn = Annotated[str, typer.Option(help="What the weights were trained on.")]
Version = Annotated[str, typer.Option(help="Version of the weights.")]


@importing.command("package")
def import_package(archive: File, name: Name, data_dir: DataDir = DEFAULT_DATA) -> None:
    """A package from the zip that `norma models pack` wrote."""
    if not schema.is_plain(name):
        raise typer.BadParameter(f"{name!r} is not a plain name", param_hint="--name")
    say_installed(package.unpack(archive, packages_dir(data_dir) / name))


@importing.command("insightface")
def import_insightface(directory: Directory, name: Name, data_dir: DataDir = DEFAULT_DATA) -> None:
    """An InsightFace pack's directory: its detector and its recogniser."""
    from export.importers import insightface  # needs the `import` extra

    for made in insightface.import_pack(directory, name, packages_dir(data_dir)):
        say_installed(made)


@importing.command("recogniser")
def import_recogniser(
    file: File,
    name: Name,
    licence: LicenceName,
    trained_on: TrainedOn,
    commercial_use: Commercial = False,
    version: Version = "1",
    colour_order: Annotated[Literal["RGB", "BGR"], typer.Option()] = "RGB",
    mean: Annotated[str, typer.Option(help="One number, or three with commas, 0–255.")] = "127.5",
    std: Annotated[str, typer.Option(help="One number, or three with commas, 0–255.")] = "127.5",
    template: Annotated[str, typer.Option(help=f"One of {', '.join(TEMPLATES)}.")] = "arcface-112",
    loss: Annotated[str, typer.Option(help="Loss it was trained with.")] = "unknown",
    keep_prelu: Annotated[
        bool, typer.Option(help="Leave PReLUs as they are: for GPUs, where they are cheap.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """An ArcFace-style ONNX network: aligned crop in, feature out."""
    from export.importers import networks  # needs the `import` extra

    if template not in TEMPLATES:
        raise typer.BadParameter(f"is none of {', '.join(TEMPLATES)}", param_hint="--template")
    made = networks.import_recogniser(
        packages_dir(data_dir) / name,
        file.read_bytes(),
        networks.About(
            name=name,
            version=version,
            description=f"Recogniser imported from {file.name}",
            source=file.name,
            licence=schema.Licence(name=licence, commercial_use=commercial_use),
            training=schema.Training(data=trained_on, loss=loss),
        ),
        Preprocessing(colour_order, _triple(mean, "--mean"), _scales(std)),
        TEMPLATES[template],
        keep_prelu=keep_prelu,
    )
    say_installed(made)


@importing.command("detector")
def import_detector(
    file: File,
    name: Name,
    family: Annotated[Literal["scrfd", "yunet"], typer.Option(help="The network's family.")],
    licence: LicenceName,
    trained_on: TrainedOn = "WIDER FACE",
    commercial_use: Commercial = False,
    version: Version = "1",
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """A SCRFD or YuNet ONNX network with five landmarks."""
    from export.importers import networks  # needs the `import` extra

    made = networks.import_detector(
        packages_dir(data_dir) / name,
        file.read_bytes(),
        networks.About(
            name=name,
            version=version,
            description=f"Detector imported from {file.name}",
            source=file.name,
            licence=schema.Licence(name=licence, commercial_use=commercial_use),
            training=schema.Training(data=trained_on, loss="detection"),
        ),
        networks.detector_defaults(family),
    )
    say_installed(made)


def _triple(text: str, option: str) -> tuple[float, float, float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3 or not all(math.isfinite(value) for value in values):
        raise typer.BadParameter("give one number, or three with commas", param_hint=option)
    return values[0], values[1], values[2]


def _scales(text: str) -> tuple[float, float, float]:
    scales = _triple(text, "--std")
    if min(scales) <= 0:
        raise typer.BadParameter("must be above zero", param_hint="--std")
    return scales


def say_installed(made: package.Package) -> None:
    """Say what was installed, and under which licence."""
    licence = made.manifest.licence
    use = "" if licence.commercial_use else " [yellow](not for commercial use)[/]"
    out.print(f"installed {made.manifest.kind} {made.path.name}: {escape(licence.name)}{use}")
    if made.manifest.kind == "recogniser" and made.calibration() is None:
        out.print("  not calibrated yet: verify needs threshold= until `norma calibrate`")
