"""S02: nothing that runs what it reads: no pickle, no torch.load, no eval, no unsafe YAML."""

import ast
from pathlib import Path

import pytest

from tests.contract.sources import calls, imports, trees

ROOMS = ("app", "models", "export", "benchmarks", "tests")

MODULES = (
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "pickletools",
)

ALLOWED = {
    # Tokenises the .bin lists of the ArcFace lineage and builds nothing: `genops` alone is called.
    ("models/data/opcodes.py", "pickletools"): "pickletools.genops",
    # Write such lists, to be read by the file above.
    ("tests/unit/models/data/test_verification.py", "pickle"): "pickle.dumps",
    ("tests/unit/models/train/test_validation.py", "pickle"): "pickle.dumps",
}
"""The one function that a file may call of such a module."""

CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "np.save", "os.system", "os.popen"}
LOADERS = ("yaml.load", "yaml.unsafe_load", "torch.jit.load", "torch.hub.load", "jsonpickle.decode")


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_that_unpickles(room: str) -> None:
    offenders = [
        f"{path}:{line} imports {name}"
        for path, tree in trees(room).items()
        for line, name in imports(tree)
        if name.split(".")[0] in MODULES and (path.as_posix(), name) not in ALLOWED
    ]
    assert offenders == []


@pytest.mark.parametrize(("path", "module"), ALLOWED)
def test_what_is_allowed_is_used_for_that_alone(path: str, module: str) -> None:
    tree = trees(path.split("/")[0])[Path(path)]
    used = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(f"{module}.")
    }
    assert used == {ALLOWED[path, module]}


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_that_runs_text_or_files(room: str) -> None:
    offenders = [
        f"{path}:{line} calls {name}"
        for path, tree in trees(room).items()
        for line, name, _ in calls(tree)
        if name in CALLS or name.endswith(LOADERS)
    ]
    assert offenders == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_argument_that_opens_the_door(room: str) -> None:
    """`allow_pickle=False` and the like, written out, and never as a variable."""
    closed = {
        "allow_pickle": False,
        "weights_only": True,
        "trust_remote_code": False,
        "shell": False,
    }
    offenders = [
        f"{path}:{line} {ast.unparse(keyword.value)}"
        for path, tree in trees(room).items()
        for line, _, call in calls(tree)
        for keyword in call.keywords
        if keyword.arg in closed
        and not (
            isinstance(keyword.value, ast.Constant) and keyword.value.value is closed[keyword.arg]
        )
    ]
    assert offenders == []
