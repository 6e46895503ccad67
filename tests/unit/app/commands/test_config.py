"""`norma config`: what is set and from where, mistakes one a line, and the table."""

from pathlib import Path

import pytest

from app.configuration.page import markdown
from tests.unit.app.commands.conftest import Run


def test_show_says_where_each_value_comes_from(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "norma.toml"
    file.write_text("queue = 7\n")
    monkeypatch.setenv("NORMA_CONFIG", str(file))
    monkeypatch.setenv("NORMA_PORT", "9")
    rows = [line.split() for line in run("config", "show").out.splitlines()]
    assert ["queue", "7", "file"] in rows
    assert ["port", "9", "environment"] in rows
    assert ["fmr", "0.0001", "default"] in rows


def test_secrets_stay_covered(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMA_MASTER_KEY_COMMAND", "vault --token hvs-123 read norma")
    shown = run("config", "show").out
    assert ["master_key_command", "(secret)", "environment"] in [
        line.split() for line in shown.splitlines()
    ]
    assert "hvs-123" not in shown


def test_check_tells_every_mistake_on_a_line_of_its_own(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("config", "check").out == "no mistakes\n"
    monkeypatch.setenv("NORMA_PORT", "x")
    monkeypatch.setenv("NORMA_QUEUE", "0")
    ran = run("config", "check")
    assert ran.status == 1
    assert [line.partition("=")[0] for line in ran.out.splitlines()] == [
        "NORMA_PORT",
        "NORMA_QUEUE",
    ]


def test_describe_prints_the_page(run: Run) -> None:
    assert run("config", "describe").out == markdown()
