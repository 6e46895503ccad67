"""`norma export` as a user types it."""

import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from export import package
from export.commands_export import export_command
from export.evidence import EVIDENCE, Evidence
from export.manifest import parse_record


@pytest.fixture
def app() -> typer.Typer:
    """The command alone, as `norma` mounts it."""
    app = typer.Typer()
    app.command()(export_command)
    return app


def test_a_run_is_exported_and_measured_on_the_people_it_held_out(
    app: typer.Typer, run_directory: Path, tmp_path: Path
) -> None:
    target = tmp_path / "tiny"
    arguments = [str(run_directory), "--to", str(target), "--version", "2.0"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    made = package.load(target)
    assert (made.name, made.manifest.version) == ("tiny", "2.0")
    proof = parse_record(Evidence, made.read(EVIDENCE), EVIDENCE)
    (measured,) = proof.verification
    assert measured.data == "made-up people (people held out of training)"
    assert measured.subjects is not None
    assert measured.subjects + proof.training.identities == 24
    assert "parity ok" in result.output
    assert f"AUC {measured.auc:.5f}" in result.output


def test_what_the_user_can_mend_is_said_in_a_line(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    result = CliRunner().invoke(app, [str(tmp_path / "run"), "--to", str(tmp_path / "x")])
    assert result.exit_code == 1
    assert "norma export:" in result.output
    assert "train it first" in result.output
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_int8_past_its_bounds_is_not_written(
    app: typer.Typer, run_directory: Path, people: Path, tmp_path: Path
) -> None:
    arguments = [str(run_directory), "--to", str(tmp_path / "x"), "--crops", str(people)]
    result = CliRunner().invoke(app, [*arguments, "--precision", "int8"])
    assert result.exit_code == 1
    assert "not written: " in result.output
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_the_user_may_accept_a_lower_cosine(
    app: typer.Typer, run_directory: Path, people: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run_directory, copy)
    arguments = [str(copy), "--to", str(tmp_path / "x"), "--crops", str(people)]
    result = CliRunner().invoke(app, [*arguments, "--precision", "fp16", "--min-cosine", "0.9"])
    assert result.exit_code == 0, result.output
