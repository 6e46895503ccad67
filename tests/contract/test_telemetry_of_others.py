"""What we build upon reports to nobody: neither a connection nor an id on the disk."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.sources import ROOT, imports, trees

ROOMS = ("app", "export", "benchmarks")
LOADING = "import {room}, onnxruntime; onnxruntime.get_available_providers(); print('loaded')"


@pytest.mark.parametrize("room", ROOMS)
def test_the_runtime_is_told_before_it_is_loaded(room: str, tmp_path: Path) -> None:
    """ONNX Runtime 1.31 creates an id and a store under the home directory when it starts."""
    told = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ran = subprocess.run(
        [sys.executable, "-c", LOADING.format(room=room)],
        cwd=ROOT,
        env=told | homes,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "loaded\n"
    assert ran.stderr == ""
    assert list(tmp_path.rglob("*")) == []


def test_no_other_room_loads_it() -> None:
    others = {"models", "tests"}
    loading = {room for room in (*ROOMS, *others) for tree in trees(room).values() if _loads(tree)}
    assert loading - {"tests"} <= set(ROOMS)


def _loads(tree: ast.AST) -> bool:
    return any(name.split(".")[0] == "onnxruntime" for _, name in imports(tree))
