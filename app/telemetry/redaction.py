"""Exceptions for a log: where and of which kind, but no text that may hold what a caller sent.

A `KeyError`'s text is the key, a parser's the input. Only classes whose text speaks of machines
keep it: the operating system's, SQLite's and ONNX Runtime's.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb

from app.errors import NormaError

_ROOT = Path(__file__).parents[2]
_FRAMES = 12
"""Innermost frames that are told."""


def told(error: BaseException) -> str:
    """An exception in a few words."""
    if isinstance(error, NormaError):
        return error.code
    name = type(error).__name__
    plain = isinstance(error, OSError | sqlite3.Error | MemoryError)
    if plain or type(error).__module__.startswith("onnxruntime"):
        return f"{name}: {error}"
    return name


def trail(error: BaseException) -> Iterator[str]:
    """The exception and what caused it, each followed by its frames, the innermost last."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield told(at)
        yield from _frames(at)
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)


def _frames(error: BaseException) -> list[str]:
    frames = [
        f"  {_short(frame.f_code.co_filename)}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    return frames[-_FRAMES:]


def _short(path: str) -> str:
    return path.removeprefix(f"{_ROOT}/").rpartition("site-packages/")[2]
