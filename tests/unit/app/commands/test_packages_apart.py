"""Packages that live apart from the data, as in an image: NORMA_PACKAGES_DIR."""

from pathlib import Path

import pytest

from app.settings import Settings
from tests.unit.app.commands.conftest import Run


@pytest.fixture
def apart(data: Path, packages_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory without packages, and where they are instead."""
    data.mkdir()
    monkeypatch.setenv("NORMA_PACKAGES_DIR", str(packages_dir))
    return packages_dir


def test_they_live_in_the_data_directory_unless_said(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).packages_dir == tmp_path / "packages"


def test_the_service_finds_them(apart: Path, run: Run) -> None:
    found = run("doctor")
    assert found.status == 0, found
    assert "sface-2021dec reproduces its golden vectors" in found.out


def test_the_commands_on_packages_find_them(apart: Path, run: Run) -> None:
    listed = run("models", "list")
    assert [line.split()[0] for line in listed.out.splitlines()] == [
        "sface-2021dec",
        "yunet-2023mar",
    ]
    assert run("models", "verify", "sface-2021dec").status == 0
