"""Exceptions in a log say where and what kind, never what a caller sent."""

import errno
import os
import sqlite3

import pytest

from app.errors import SubjectNotFoundError
from app.telemetry.redaction import told, trail

SECRET = "anna-k"  # noqa: S105 - a name that must not be told


def chained() -> Exception:
    """An error with a cause that holds the caller's text."""
    try:
        try:
            {}[SECRET]
        except KeyError as error:
            raise ValueError(f"no {SECRET}") from error
    except ValueError as error:
        return error


def test_the_trail_names_classes_and_places_only() -> None:
    lines = list(trail(chained()))
    assert [line for line in lines if not line.startswith(" ")] == ["ValueError", "KeyError"]
    assert any(
        line.startswith("  tests/unit/app/telemetry/test_redaction.py:")
        and line.endswith("chained")
        for line in lines
    )
    assert SECRET not in "".join(lines)


def test_our_own_errors_are_told_by_their_code() -> None:
    assert told(SubjectNotFoundError(f"there is no {SECRET}")) == "subject_not_found"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (sqlite3.OperationalError("disk I/O error"), "disk I/O error"),
    ],
)
def test_what_the_machine_says_is_told(error: Exception, said: str) -> None:
    assert said in told(error)


def test_what_the_runtime_says_is_told() -> None:
    class FailError(Exception):
        __module__ = "onnxruntime.capi.onnxruntime_pybind11_state"

    assert told(FailError("CUDA out of memory")) == "FailError: CUDA out of memory"


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError(), TypeError()
    first.__cause__, second.__cause__ = second, first
    assert list(trail(first)) == ["ValueError", "TypeError"]
