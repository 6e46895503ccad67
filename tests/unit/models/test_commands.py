import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from models.commands import train
from models.train.recipes import names

RUNNER = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    """As `app` mounts it, beside other commands."""
    app = typer.Typer()
    app.add_typer(train, name="train")
    app.command("other")(lambda: None)
    return app


def test_the_flags_are_these_and_no_more(app: typer.Typer) -> None:
    """Whatever a run needs is a key of its config: a new flag must be argued for here."""
    help_text = RUNNER.invoke(app, ["train", "--help"]).output
    assert sorted(set(re.findall(r"--[a-z-]+", help_text))) == ["--help", "--list", "--set"]


def test_list_names_every_recipe(app: typer.Typer) -> None:
    output = RUNNER.invoke(app, ["train", "--list"]).output
    assert [line.split()[0] for line in output.splitlines()] == names()


def test_a_recipe_trains_from_a_folder(app: typer.Typer, tmp_path: Path) -> None:
    for number in range(4):
        folder = tmp_path / "faces" / f"person{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        picture = np.full((112, 112, 3), 50 * number, np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    settings = {
        "data.paths": tmp_path / "faces",
        "data.name": "pictures",
        "data.licence": "ours",
        "run": tmp_path / "run",
        "backbone.parameters.width": 0.125,
        "batch_size": 4,
        "schedule.steps": 2,
        "system.threads": 1,
        "system.device": "cpu",
    }
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    result = RUNNER.invoke(app, ["train", "tiny", *options])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "checkpoints" / "step-000000002").is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["huge"], "unknown recipe 'huge'; choose from tiny"),
        (["tiny"], "does not say what it trains on"),
        (["tiny", "--set", "lr=1"], "unknown key lr; keys here: recipe, run"),
        (
            ["tiny", "--set", "data.name=x", "--set", "data.licence=y", "--set", "data.paths=/no"],
            "/no is neither a directory nor a .tar file",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    app: typer.Typer, arguments: list[str], message: str
) -> None:
    result = RUNNER.invoke(app, ["train", *arguments])
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output
