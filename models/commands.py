"""The commands that training brings to `norma`; nothing heavy is imported before one runs."""

from typing import Annotated

import typer

# A group with no commands of its own, so that `app` can mount it as `norma train`: options may
# follow the recipe.
train = typer.Typer(
    add_completion=False,
    help="Train a recogniser from labelled, aligned faces.",
    context_settings={"allow_interspersed_args": True},
    subcommand_metavar="",
    pretty_exceptions_enable=False,
)


@train.callback(invoke_without_command=True)
def train_command(
    recipe: Annotated[str, typer.Argument(help="A recipe's name; --list shows them.")] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the recipes and leave.")] = False,
) -> None:
    """Train RECIPE, or go on with it if its run directory holds checkpoints.

    Ctrl-C saves before it leaves; under torchrun every process of the group is one rank.
    """
    from models.train import recipes

    if list_ or not recipe:
        for summary in recipes.summaries():
            typer.echo(f"{summary.name:24}{summary.text}")
        return
    raise typer.Exit(_train(recipe, settings or []))


def _train(recipe: str, settings: list[str]) -> int:
    """The exit status: 0, 1 with a message for what the user can mend, 128 + signal."""
    from models.train.learner import NonFiniteError
    from models.train.recipes import build
    from models.train.report import Terminal
    from models.train.run import train as run
    from models.train.values import override

    try:
        result = run(override(build(recipe), settings), observer=Terminal())
    except (ValueError, NonFiniteError) as error:
        typer.echo(f"norma train: {error}", err=True)
        return 1
    return 128 + result.signal if result.signal else 0
