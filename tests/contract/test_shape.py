"""The shape of the code: functions that fit a screen, files with one idea, all annotated."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.sources import ROOT, calls, imports, trees

ROOMS = ("app", "models", "export", "benchmarks", "tests")
MAX_FUNCTION = 60
MAX_FILE = 400

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(room: str) -> Iterator[tuple[Path, Function]]:
    for path, tree in trees(room).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def length(node: Function) -> int:
    """Lines from `def` to the end, docstring included."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("room", ROOMS)
def test_no_function_is_longer_than_a_screen(room: str) -> None:
    offenders = [
        f"{path}:{node.lineno} {node.name}: {length(node)} lines"
        for path, node in functions(room)
        if length(node) > MAX_FUNCTION
    ]
    assert offenders == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_file_is_longer_than_its_idea(room: str) -> None:
    sizes = {path: len((ROOT / path).read_text().splitlines()) for path in trees(room)}
    assert [f"{path}: {size} lines" for path, size in sizes.items() if size > MAX_FILE] == []


@pytest.mark.parametrize("room", ["app", "models", "export"])
def test_everything_is_annotated(room: str) -> None:
    offenders = []
    for path, node in functions(room):
        named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        named += [one for one in (node.args.vararg, node.args.kwarg) if one]
        bare = [one.arg for one in named if one.annotation is None and one.arg not in SELF]
        if bare or node.returns is None:
            offenders.append(f"{path}:{node.lineno} {node.name}: {bare or 'what it returns'}")
    assert offenders == []


SELF = ("self", "cls")


@pytest.mark.parametrize("room", ["app", "models", "export"])
def test_every_module_says_what_it_is(room: str) -> None:
    assert [str(path) for path, tree in trees(room).items() if not ast.get_docstring(tree)] == []


@pytest.mark.parametrize("room", ["app", "models", "export"])
def test_nothing_prints(room: str) -> None:
    """Commands write to a console, the service to its log."""
    found = [
        f"{path}:{line}"
        for path, tree in trees(room).items()
        for line, name, _ in calls(tree)
        if name == "print"
    ]
    assert found == []


def test_tests_patch_nothing() -> None:
    """What must be replaced in a test is a parameter, and its stand-in a class of its own."""
    offenders = [
        f"{path}:{line} imports {name}"
        for path, tree in trees("tests").items()
        for line, name in imports(tree)
        if name.startswith(("unittest.mock", "mock.", "pytest_mock"))
    ]
    offenders += [
        f"{path}:{line} replaces {ast.unparse(call)}"
        for path, tree in trees("tests").items()
        for line, name, call in calls(tree)
        if name.endswith(("monkeypatch.setattr", "monkeypatch.delattr", "mocker.patch"))
    ]
    assert offenders == []
