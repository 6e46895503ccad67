"""`norma config …`: what is set, from where, and whether it can be."""

import typer
from pydantic import SecretStr
from rich.markup import escape
from rich.table import Table

from app.commands.common import out
from app.configuration import page, sources
from app.configuration.fields import written

config = typer.Typer(help="The settings.", no_args_is_help=True)


@config.command()
def show() -> None:
    """Every setting, and where its value comes from. Secrets stay covered."""
    given = sources.gather({})
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for name, value in sources.load(given):
        told = "(secret)" if isinstance(value, SecretStr) else written(value)
        table.add_row(name, escape(told), given.source(name))
    out.print(table)


@config.command()
def check() -> None:
    """Look for mistakes, without starting. Status 1 where there are any, one a line."""
    given = sources.gather({})
    mistakes = sources.mistakes(given)
    for one in mistakes:
        out.print(one, markup=False)
    if mistakes:
        raise typer.Exit(1)
    out.print("no mistakes")


@config.command()
def describe() -> None:
    """The table of all settings, as Markdown."""
    out.print(page.markdown(), markup=False, end="")
