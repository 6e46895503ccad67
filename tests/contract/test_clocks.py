"""F32: the wall clock may jump; what is timed by it is listed here, with what a jump does to it."""

from tests.contract.sources import calls, imports, trees

WALL = {"time.time", "time.time_ns", "time_ns", "datetime.now", "datetime.utcnow", "datetime.today"}

ALLOWED = {
    "app/gallery/lock.py": "says since when, to people",
    "app/gallery/rows/common.py": "times of rows, expiry of subjects: dates, which are the wall's",
    "app/gallery/schema.py": "says when a migration ran",
    "app/commands/keys.py": "expiry of keys: dates",
    "app/security/audit/files.py": "says when; the order is the chain's",
    "app/telemetry/spans.py": "says when a span began; it lasts by perf_counter",
}


def test_F32_nothing_but_dates_follows_the_wall_clock() -> None:
    """Deadlines, rates, queues and timeouts are on clocks that only go forward."""
    found = {
        path.as_posix()
        for path, tree in trees("app").items()
        for _, name, _ in calls(tree)
        if name in WALL
    }
    assert found == set(ALLOWED)


def test_F32_what_has_a_deadline_imports_no_wall_clock() -> None:
    rooms = ("inference", "http")
    offenders = [
        f"{path}:{line}"
        for path, tree in trees("app").items()
        if path.parts[1] in rooms
        for line, name in imports(tree)
        if name in ("time.time", "time.time_ns") or name.startswith("datetime")
    ]
    assert offenders == []
