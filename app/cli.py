"""The `norma` command. Each room brings its own commands as entry points of `norma.commands`."""

import sys
from importlib.metadata import entry_points

import typer
from rich.console import Console

from app.commands import doctor, photos, serve
from app.errors import NormaError
from export.errors import PackageError

cli = typer.Typer(
    name="norma",
    help="Face verification that you train, calibrate and serve yourself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.command("serve")(serve.serve)
cli.command("detect")(photos.detect)
cli.command("embed")(photos.embed)
cli.command("verify")(photos.verify)
cli.command("doctor")(doctor.doctor)


def main() -> None:
    """Run one command. Known errors end in one line and status 1, never in a traceback."""
    for entry in sorted(entry_points(group="norma.commands"), key=lambda entry: entry.name):
        _add(entry.name, entry.load())
    try:
        cli()
    except (NormaError, PackageError, FileExistsError) as error:
        Console(stderr=True).print(f"[red]norma:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)


def _add(name: str, command: object) -> None:
    if isinstance(command, typer.Typer):
        cli.add_typer(command, name=name)
    elif callable(command):
        cli.command(name)(command)
