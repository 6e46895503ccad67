"""The environment that runs the tests, and the wheel that is built from the sources."""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.contract.sources import ROOT
from tests.contract.test_locks import FLAVOURS, locked


def installed() -> dict[str, str]:
    return {
        re.sub(r"[-_.]+", "-", found.name).lower(): found.version
        for found in importlib.metadata.distributions()
        if found.name
    }


@pytest.mark.parametrize("family", FLAVOURS)
def test_one_distribution_stands_behind_each_import_name(family: str) -> None:
    assert len(set(FLAVOURS[family]) & installed().keys()) == 1


def test_the_environment_is_the_locked_one() -> None:
    """Where something differs, what is tested is not what is shipped."""
    have, lock = installed(), locked("dev")
    different = {
        name: have[name]
        for name, entries in lock.items()
        if name in have and have[name] not in {version for version, _ in entries}
    }
    assert different == {}


def test_serving_and_testing_run_the_same_runtime() -> None:
    runtimes = {
        locked(name)[flavour]
        for name in ("cpu", "gpu", "dev")
        for flavour in FLAVOURS["onnxruntime"]
        if flavour in locked(name)
    }
    assert len(runtimes) == 1, "one entry: one version, of the two distributions"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as `pip wheel .` builds it."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("needs hatchling to build the wheel")
    where = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(where)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    [made] = where.glob("norma-*.whl")
    return zipfile.ZipFile(made)


def test_the_wheel_holds_every_file_of_the_rooms_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """The catalogue, the tables of the default packages, pages and styles too."""
    tracked = subprocess.run(
        [
            "git",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "app",
            "models",
            "export",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    content = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert content == set(tracked.stdout.split())
    assert "export/catalogue.json" in content


def test_the_wheel_holds_no_weights_and_no_photos(wheel: zipfile.ZipFile) -> None:
    heavy = (".onnx", ".npz", ".safetensors", ".pt", ".jpg", ".jpeg", ".png", ".bin", ".whl")
    assert [name for name in wheel.namelist() if name.endswith(heavy)] == []
    assert sum(member.file_size for member in wheel.infolist()) < 5 * 1024**2


def test_the_wheel_asks_for_no_runtime_unless_an_extra_does(wheel: zipfile.ZipFile) -> None:
    [name] = [one for one in wheel.namelist() if one.endswith(".dist-info/METADATA")]
    needs = Parser().parsestr(wheel.read(name).decode()).get_all("Requires-Dist") or []
    always = [one for one in needs if "extra ==" not in one]
    assert len(always) > 10
    heavy = ("torch", "onnx", "faiss", "insightface")
    assert [one for one in always if one.startswith(heavy)] == []


def test_the_wheel_brings_the_command(wheel: zipfile.ZipFile) -> None:
    [name] = [one for one in wheel.namelist() if one.endswith("entry_points.txt")]
    text = wheel.read(name).decode()
    assert "norma = app.cli:main" in text
    assert "models = export.commands:models" in text


def test_typed_markers_and_licence_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {f"{room}/py.typed" for room in ("app", "models", "export")} <= set(names)
    assert any(Path(name).name == "LICENSE" for name in names)
