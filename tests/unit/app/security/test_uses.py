"""The file of last uses: merged, private, and never in the way."""

import stat
from pathlib import Path

import pytest

from app.security import uses
from app.security.uses import Uses


def test_processes_add_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "uses.json"
    for name, at in (("a", 3600.0), ("b", 7205.0), ("a", 10_799.0)):
        one = Uses(path)
        one.note(name, at)
        one.close()
    assert uses.read(path) == {"a": 7200, "b": 7200}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["uses.json"]


def test_an_hour_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "uses.json"
    one = Uses(path)
    one.note("a", 3600)
    one.close()
    path.unlink()
    one.note("a", 3700)  # a second write would fail: the thread has ended
    assert not path.exists()


def test_a_disk_that_takes_nothing_is_only_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = Uses(tmp_path / "missing" / "uses.json")
    one.note("a", 3600)
    one.close()
    assert "could not be noted" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": "x"}'])
def test_a_damaged_file_holds_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "uses.json"
    path.write_bytes(content)
    assert uses.read(path) == {}
