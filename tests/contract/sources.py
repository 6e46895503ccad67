"""The repository's Python files as syntax trees."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def trees(room: str) -> dict[Path, ast.Module]:
    """Every file of a room by its path relative to the root."""
    return {
        path.relative_to(ROOT): ast.parse(path.read_text(), str(path))
        for path in sorted((ROOT / room).rglob("*.py"))
    }


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, also inside functions.

    `from a.b import c` gives "a.b.c", which may name a module or something in one.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, entry.name) for entry in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{entry.name}") for entry in node.names)


def calls(tree: ast.AST) -> Iterator[tuple[int, str, ast.Call]]:
    """Line and dotted name of everything called, as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func), node
