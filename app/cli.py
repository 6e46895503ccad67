"""The `norma` command. Each room brings its own commands as entry points of `norma.commands`."""

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from app.commands import (
    audit,
    capacity,
    config,
    doctor,
    gallery,
    keys,
    labelled,
    photos,
    prepare,
    serve,
)
from app.errors import NormaError
from export.errors import PackageError

EXTRAS: Mapping[str, str] = {"onnx": "import", "torch": "train"}
"""Which extra of the distribution brings a package that only some commands need."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command, that of the process by default, and exit.

    Known errors end in one line and status 1, never in a traceback.
    """
    try:
        _commands()(arguments, obj=labelled.open_faces)  # how calibration looks at photos
    except (NormaError, PackageError, OSError) as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "")
        if extra is None:
            raise
        _fail(f"this command needs {error.name}: install norma[{extra}]")


def _commands() -> typer.Typer:
    cli = typer.Typer(
        name="norma",
        help="Face verification that you train, calibrate and serve yourself.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command in (
        serve.serve,
        photos.detect,
        photos.embed,
        photos.verify,
        doctor.doctor,
        capacity.capacity,
    ):
        cli.command()(command)
    cli.add_typer(prepare.data, name="data")
    cli.add_typer(config.config, name="config")
    cli.add_typer(gallery.gallery, name="gallery")
    cli.add_typer(keys.keys, name="keys")
    cli.add_typer(audit.audit, name="audit")
    for entry in sorted(entry_points(group="norma.commands"), key=lambda entry: entry.name):
        found = entry.load()
        if isinstance(found, typer.Typer):
            cli.add_typer(found, name=entry.name)
        else:
            cli.command(entry.name)(found)
    return cli


def _fail(message: str) -> NoReturn:
    line = escape(" ".join(message.split()))
    Console(stderr=True).print(f"[red]norma:[/] {line}", highlight=False, soft_wrap=True)
    sys.exit(1)
