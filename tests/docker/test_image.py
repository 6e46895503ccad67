"""What is in the CPU's image (S04), and who runs it (S05)."""

import json

import pytest

from tests.docker.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

MEGABYTES = 1000**2
TOOLS = (*("cc", "gcc", "g++", "clang", "c++", "ld", "as", "make"), *("curl", "wget", "git", "nc"))
HELD = """
import importlib.util, json, os, shutil, sys
from importlib.metadata import distributions
from pathlib import Path
venv = [str(one.name).lower() for one in distributions(path=[
    str(path) for path in Path("/opt/norma/lib").glob("python3.*/site-packages")])]
print(json.dumps({
    "uid": os.getuid(), "packages": venv, "prefix": sys.prefix,
    "importable": [name for name in ("torch", "onnx", "pip", "setuptools", "insightface")
                   if importlib.util.find_spec(name)],
    "tools": [tool for tool in %r if shutil.which(tool)],
    "writable": [str(path) for top in ("/opt", "/usr", "/etc", "/var/lib/norma", "/keys", "/first")
                 for path in (Path(top), *Path(top).rglob("*"))
                 if not path.is_symlink() and os.access(path, os.W_OK)],
}))
"""


@pytest.fixture(scope="module")
def held(engine: Engine, image: str) -> dict[str, object]:
    """What a Python inside finds."""
    run = ("run", "--rm", "--network", "none", "--entrypoint", "python", image)
    found: dict[str, object] = json.loads(engine.docker(*run, "-I", "-c", HELD % (TOOLS,)))
    return found


def test_the_service_runs_as_nobody_in_particular_s05(held: dict[str, object]) -> None:
    assert held["uid"] == 10001


def test_neither_training_nor_installing_is_possible_s04(held: dict[str, object]) -> None:
    assert held["prefix"] == "/opt/norma"
    assert held["importable"] == []
    assert held["tools"] == []


def test_what_is_installed_is_what_is_locked(held: dict[str, object]) -> None:
    from tests.contract.test_locks import locked

    assert isinstance(held["packages"], list)
    ours = {name.replace("_", "-") for name in held["packages"]}
    assert "norma" in ours
    assert ours - {"norma"} <= {name.replace("_", "-") for name in locked("cpu")}


def test_nothing_but_the_volumes_can_be_written_s05(held: dict[str, object]) -> None:
    assert held["writable"] == ["/var/lib/norma", "/keys", "/first"]


def test_the_image_holds_little_more_than_it_needs(engine: Engine, image: str, python: str) -> None:
    """Measured 514 MB above the base; most of it OpenCV, ONNX Runtime, NumPy and FAISS."""
    above = engine.inspect(image)["Size"] - engine.inspect(python)["Size"]
    assert above < 600 * MEGABYTES


def test_it_does_not_start_where_nobody_would_be_kept_out(engine: Engine, image: str) -> None:
    name = "norma-test-open"
    engine.tries("rm", "-f", name)
    assert not engine.tries("run", "--name", name, "--network", "none", image)
    state = engine.inspect(name)["State"]
    engine.docker("rm", "-f", name)
    assert state["ExitCode"] == 1


def test_the_default_packages_and_their_licences_are_in_it(engine: Engine, image: str) -> None:
    run = ("run", "--rm", "--network", "none", image)
    assert "sface-2021dec" in engine.docker(*run, "models", "list")
    engine.docker(*run, "models", "verify")
    cat = ("run", "--rm", "--entrypoint", "cat", image)
    assert "Shiqi Yu" in engine.docker(*cat, "/usr/share/norma/licences/weights.txt")
    assert "Apache License" in engine.docker(*cat, "/usr/share/norma/licences/LICENSE")
