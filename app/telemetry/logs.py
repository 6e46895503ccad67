"""The service's log: one line a record, as text for people or JSON for machines.

A record's own fields come as `extra={"fields": {…}}`. Nothing a caller sent is in a line: no body,
name, feature or key, and of an exception only what `redaction` lets through.
"""

import logging
import os
import queue
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Thread
from typing import Literal

import orjson

from app.telemetry import redaction

Style = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

CAPACITY = 10_000
"""Lines that may wait to be written; more are dropped, so that a log never holds up a request."""
_PATIENCE = 2.0
"""Seconds for which the end waits until what is left is written."""

_OWN = ("norma", "uvicorn")
"""Loggers that speak at the level chosen; all others from warnings up."""


class Lines(logging.Formatter):
    """Records to lines."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self._line = _json if style == "json" else _text

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        return self._line(record, _message(record), _fields(record), error)


def _message(record: logging.LogRecord) -> str:
    """With exceptions among the arguments told, not printed."""
    args = record.args
    if isinstance(args, tuple):
        args = tuple(redaction.told(a) if isinstance(a, BaseException) else a for a in args)
    return str(record.msg) % args if args else str(record.msg)


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    found: Mapping[str, object] = getattr(record, "fields", {})
    return found


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(
    record: logging.LogRecord,
    message: str,
    fields: Mapping[str, object],
    error: BaseException | None,
) -> str:
    told = "".join(f" {name}={value}" for name, value in fields.items() if value is not None)
    line = f"{_time(record)} {record.levelname:<7} {record.name}: {message}{told}"
    # What a client chose (a header that uvicorn reports) must not be able to forge a line.
    lines = [line.encode("unicode_escape").decode("ascii") if not line.isprintable() else line]
    return "\n    ".join([*lines, *(redaction.trail(error) if error else ())])


def _json(
    record: logging.LogRecord,
    message: str,
    fields: Mapping[str, object],
    error: BaseException | None,
) -> str:
    told: dict[str, object] = {
        "time": _time(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": message,
        **{name: value for name, value in fields.items() if value is not None},
    }
    if error:
        told["error"] = list(redaction.trail(error))
    return orjson.dumps(told).decode()


class Sink(logging.Handler):
    """Writes lines to a file descriptor from a thread of its own.

    A full disk, a closed pipe and a reader that stalls cost lines, never a request.
    """

    def __init__(self, descriptor: int, capacity: int = CAPACITY) -> None:
        super().__init__()
        self.lost = 0
        """Lines that could not be written."""
        self._descriptor = descriptor
        self._waiting: queue.Queue[str | None] = queue.Queue(capacity)
        self._thread = Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.put_nowait(self.format(record))
        except Exception:  # a record that cannot be told, or too many: never the caller's problem
            self.lost += 1

    def close(self) -> None:
        """Waits a little for what is left."""
        try:
            self._waiting.put(None, timeout=_PATIENCE)
        except queue.Full:
            return
        self._thread.join(_PATIENCE)
        super().close()

    def _write_all(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                _write(self._descriptor, line.encode("utf-8", "backslashreplace") + b"\n")
            except OSError:
                self.lost += 1


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def logging_to(descriptor: int, style: Style, level: Level) -> Iterator[Sink]:
    """All of the process's log goes to the descriptor meanwhile."""
    sink = Sink(descriptor)
    sink.setFormatter(Lines(style))
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers[:] = [sink]
    root.setLevel(logging.WARNING)
    for name in _OWN:
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(True)
    try:
        yield sink
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level = before
        sink.close()


def standard_output() -> int:
    """A descriptor of the process's output; of nothing where it was started without one.

    Then 1 is free, and would be the next file's that is opened: a database's, say. So the holes
    among the standard descriptors are filled first.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    while nothing <= 2:
        nothing = os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        return nothing
    os.close(nothing)
    return os.dup(1)


def style_for(chosen: Literal["auto", "text", "json"]) -> Style:
    """ "auto" is text on a terminal, JSON elsewhere."""
    if chosen != "auto":
        return chosen
    return "text" if sys.stdout is not None and sys.stdout.isatty() else "json"
