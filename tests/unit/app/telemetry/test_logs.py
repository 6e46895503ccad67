"""Log lines: their two looks, and what becomes of them where they cannot be written (F35)."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Thread

import pytest

from app.telemetry.logs import Level, Sink, Style, logging_to

log = logging.getLogger("norma.test")
SECRET = "anna-k"  # noqa: S105 - a name that must not be told


@dataclass(frozen=True, slots=True)
class Pipe:
    """Where a log goes, and what came out of it."""

    reader: int
    writer: int

    def lines(self) -> list[str]:
        """All there is; the writer is closed."""
        os.close(self.writer)
        with os.fdopen(os.dup(self.reader)) as text:
            return text.read().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = Pipe(*os.pipe())
    yield ends
    os.close(ends.reader)


def logged(pipe: Pipe, style: Style, level: Level = "info") -> list[str]:
    """The lines that some records make."""
    with logging_to(pipe.writer, style, level):
        log.info("begun on %s", "cpu", extra={"fields": {"status": 200, "key_id": None}})
        log.debug("details")
        logging.getLogger("someone.else").info("chatter")
        logging.getLogger("uvicorn.error").info("listening")
        log.warning("odd header %s", "a\nFORGED: line")
        try:
            {}[SECRET]
        except KeyError as error:
            log.error("failed with %s", error, exc_info=error)
    return pipe.lines()


def test_json_lines_hold_message_fields_and_trail(pipe: Pipe) -> None:
    lines = [json.loads(line) for line in logged(pipe, "json")]
    begun, listening, odd, failed = lines
    assert begun | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "norma.test",
        "message": "begun on cpu",
        "status": 200,
    }
    assert begun["time"].endswith("Z")
    assert listening["logger"] == "uvicorn.error"
    assert odd["message"] == "odd header a\nFORGED: line"
    assert failed["message"] == "failed with KeyError"
    assert failed["error"][0] == "KeyError"
    assert failed["error"][1].endswith(" logged")
    assert SECRET not in str(lines)


def test_text_lines_are_for_people_and_cannot_be_forged(pipe: Pipe) -> None:
    lines = logged(pipe, "text")
    assert lines[0].endswith("INFO    norma.test: begun on cpu status=200")
    assert lines[2].endswith(r"norma.test: odd header a\nFORGED: line")
    assert [line for line in lines if line.startswith("FORGED")] == []
    assert lines[3].endswith("failed with KeyError")
    assert lines[4] == "    KeyError"
    assert SECRET not in str(lines)


def test_the_level_decides_what_is_told(pipe: Pipe) -> None:
    assert len(logged(pipe, "json", "error")) == 1


def test_the_log_is_as_before_afterwards(pipe: Pipe) -> None:
    before = logging.getLogger().handlers[:]
    logged(pipe, "json")
    assert logging.getLogger().handlers == before


def test_F35_a_full_disk_costs_lines_and_nothing_else() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with logging_to(full, "text", "info") as sink:
        for _ in range(5):
            log.info("lost")
    assert sink.lost == 5
    os.close(full)


def test_F35_a_closed_pipe_costs_lines_and_nothing_else() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with logging_to(writer, "json", "info") as sink:
        log.info("lost")
    assert sink.lost == 1
    os.close(writer)


def test_F35_lines_are_written_again_once_there_is_room(pipe: Pipe) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    descriptor = os.dup(full)
    sink = Sink(descriptor)
    sink.handle(logging.makeLogRecord({"msg": "lost"}))
    while not sink.lost:
        pass
    os.dup2(pipe.writer, descriptor)
    sink.handle(logging.makeLogRecord({"msg": "found"}))
    sink.close()
    for one in (descriptor, full):
        os.close(one)
    assert pipe.lines() == ["found"]


def test_F35_a_reader_that_stalls_holds_nobody_up(pipe: Pipe) -> None:
    """A pipe takes 64 KiB; what comes after waits, up to the capacity, and then is dropped."""
    sink = Sink(pipe.writer, capacity=10)
    for _ in range(300):
        sink.handle(logging.makeLogRecord({"msg": "x" * 1024}))
    assert sink.lost > 200
    drained = Thread(target=_drain, args=(pipe.reader,))
    drained.start()
    sink.close()
    os.close(pipe.writer)
    drained.join()


def _drain(reader: int) -> None:
    while os.read(reader, 1 << 16):
        pass


def test_a_record_that_cannot_be_told_is_lost_alone(pipe: Pipe) -> None:
    with logging_to(pipe.writer, "text", "info") as sink:
        log.info("%d items", "many")
        log.info("fine")
    assert sink.lost == 1
    assert pipe.lines()[0].endswith("fine")
