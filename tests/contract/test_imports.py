"""Who may import whom: app → export.contract ← models, and never app → models, torch or onnx."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.contract.sources import ROOT, imports, trees

FORBIDDEN = {
    "app": ("models", "torch", "torchvision", "onnx", "safetensors", "insightface", "tests"),
    "models": ("app", "tests"),
    "export": ("app", "tests"),
}

APP_FROM_EXPORT = {"contract", "manifest", "tables", "package", "golden", "errors", "rates"}
"""The rooms of `export` that are the service's own: numpy, pydantic and the standard library."""

EXCEPTIONS = {
    # Its types say what calibration wants to know of a photo; only `norma calibrate` runs it.
    ("app/commands/labelled.py", "export.calibrate.photos"),
}

ARITHMETIC = {
    "export/contract.py": (),
    "export/golden.py": ("export.contract",),
    "export/rates.py": (),
}
"""Files that every room imports: numpy and the standard library, and one another as listed."""


def imported(room: str) -> list[tuple[Path, int, str]]:
    return [
        (path, line, name) for path, tree in trees(room).items() for line, name in imports(tree)
    ]


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_keep_their_distance(room: str) -> None:
    found = imported(room)
    assert len(found) > 20, "the rule must have something to look at"
    offenders = [
        f"{path}:{line} imports {name}"
        for path, line, name in found
        if any(within(name, other) for other in FORBIDDEN[room])
    ]
    assert offenders == []


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_are_absolute(room: str) -> None:
    """The rules here read names; a relative one would slip past them."""
    assert [f"{p}:{line}" for p, line, name in imported(room) if name.startswith(".")] == []


def test_the_service_reads_packages_and_nothing_else_of_export() -> None:
    offenders = []
    for path, line, name in imported("app"):
        if name.split(".")[0] != "export":
            continue
        excepted = any(path.as_posix() == p and within(name, m) for p, m in EXCEPTIONS)
        if name.split(".")[1] not in APP_FROM_EXPORT and not excepted:
            offenders.append(f"{path}:{line} imports {name}")
    assert offenders == []


def test_training_shares_the_contract_alone() -> None:
    offenders = [
        f"{path}:{line} imports {name}"
        for path, line, name in imported("models")
        if within(name, "export") and not within(name, "export.contract")
    ]
    assert offenders == []


@pytest.mark.parametrize("file", ARITHMETIC)
def test_what_every_room_imports_needs_numpy_alone(file: str) -> None:
    allowed = {"numpy", *sys.stdlib_module_names}
    offenders = [
        name
        for _, name in imports(trees("export")[Path(file)])
        if name.split(".")[0] not in allowed
        and not any(within(name, other) for other in ARITHMETIC[file])
    ]
    assert offenders == []


@pytest.mark.parametrize("room", FORBIDDEN)
def test_nothing_is_imported_by_a_computed_name(room: str) -> None:
    names = ("importlib.import_module", "importlib.util", "runpy", "pkgutil")
    assert [
        f"{path}:{line} imports {name}"
        for path, line, name in imported(room)
        if any(within(name, one) for one in names)
    ] == []


ISOLATED = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.split(".")[0])

sys.meta_path.insert(0, Refuse())
{body}
"""


def isolated(refused: set[str], body: str) -> subprocess.CompletedProcess[str]:
    """Run `body` where importing some packages fails, as in an environment without them."""
    code = ISOLATED.format(refused=refused, body=body)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_service_starts_where_there_is_no_training_and_no_onnx() -> None:
    """All of `app`, in an environment that holds the `cpu` extra alone."""
    modules = [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in trees("app")
    ]
    body = "import importlib\n" + "".join(f"importlib.import_module({m!r})\n" for m in modules)
    body += "assert not [name for name in sys.modules if name.split('.')[0] == 'models']\n"
    refused = {"torch", "onnx", "safetensors", "matplotlib", "insightface", "skimage", "models"}
    ran = isolated(refused, body)
    assert ran.returncode == 0, ran.stderr


def test_every_command_can_be_listed_without_the_extras_and_says_which_it_needs() -> None:
    """`norma --help` shows all; a command that needs more ends in one line."""
    names = sorted(entry.name for entry in entry_points(group="norma.commands"))
    assert "models" in names
    ran = isolated({"torch", "onnx", "matplotlib"}, "from app.cli import main\nmain(['--help'])")
    assert ran.returncode == 0, ran.stderr
    for name in (*names, "serve", "detect", "embed", "verify", "doctor"):
        assert f" {name} " in ran.stdout
    ran = isolated({"onnx"}, "from app.cli import main\nmain(['models', 'pull', 'nothing'])")
    assert ran.returncode == 1
    assert ran.stderr == "norma: this command needs onnx: install norma[import]\n"
