"""P10: what is recorded stays as it was, or it shows."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import AuditFailedError, StartError
from app.security.audit.event import Event, Origin, coming_from
from app.security.audit.files import AuditFiles, files
from app.security.audit.log import AuditLog
from app.security.audit.verify import AuditReader
from app.security.keysource import KeyFile, NoKey

Open = Callable[..., AuditLog]


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "master.key")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def opened(directory: Path, key: KeyFile) -> Iterator[Open]:
    logs: list[AuditLog] = []

    def open_(**options: int) -> AuditLog:
        logs.append(AuditLog(directory, key, **options))  # type: ignore[arg-type]
        return logs[-1]

    yield open_
    for log in logs:
        log.close()


def event(n: int) -> Event:
    return Event("subject.enrolled", "me", "staff", f"anna-{n}", {"faces": n})


def fill(log: AuditLog, count: int = 6) -> None:
    for n in range(count):
        assert log.record(event(n)) is not None
    log.close()


def problems(directory: Path, key: KeyFile) -> list[str]:
    return AuditReader(directory, key).verify().problems


def lines(directory: Path) -> list[bytes]:
    [path] = files(directory)
    return path.read_bytes().splitlines(keepends=True)


def rewrite(directory: Path, changed: list[bytes]) -> None:
    files(directory)[0].write_bytes(b"".join(changed))


def test_entries_say_what_was_done_and_name_nobody(
    opened: Open, directory: Path, key: KeyFile
) -> None:
    log = opened(clock=lambda: 1_700_000_000_123)
    with coming_from("k1", "r1"):
        head = log.record(event(3))
    log.record(event(4))
    log.close()
    first, second = (json.loads(line) for line in lines(directory))
    assert (first["action"], first["owner"], first["gallery"]) == (
        "subject.enrolled",
        "me",
        "staff",
    )
    assert (first["key"], first["request"], second["key"]) == ("k1", "r1", None)
    assert (first["details"], first["at"]) == ({"faces": 3}, "2023-11-14T22:13:20.123Z")
    assert head is not None
    assert (head.seq, head.mac, head.subject) == (1, first["mac"], first["subject"])
    assert second["prev"] == first["mac"]
    assert b"anna" not in files(directory)[0].read_bytes()
    chain = AuditReader(directory, key).chain
    assert first["subject"] == chain.subject("me", "staff", "anna-3")
    assert first["subject"] != chain.subject("me", "other", "anna-3")
    assert problems(directory, key) == []


def test_the_log_is_for_its_owner_alone(opened: Open, directory: Path, key: KeyFile) -> None:
    fill(opened())
    assert directory.stat().st_mode & 0o077 == 0
    assert len((directory / "secret").read_bytes()) > 32  # wrapped
    with pytest.raises(StartError, match="put it back"):
        AuditReader(directory, KeyFile(key.path.with_name("other")))


def edited(found: list[bytes]) -> list[bytes]:
    return [*found[:2], found[2].replace(b'"faces":2', b'"faces":9'), *found[3:]]


def edited_and_hashed_anew(found: list[bytes]) -> list[bytes]:
    """As far as one gets without the secret: the line of another place."""
    return [*found[:2], found[4], *found[3:]]


def deleted(found: list[bytes]) -> list[bytes]:
    return found[:2] + found[3:]


def reordered(found: list[bytes]) -> list[bytes]:
    return [*found[:2], found[3], found[2], *found[4:]]


def truncated(found: list[bytes]) -> list[bytes]:
    return found[:-2]


def beheaded(found: list[bytes]) -> list[bytes]:
    return found[1:]


def respaced(found: list[bytes]) -> list[bytes]:
    return [found[0].replace(b'":', b'": '), *found[1:]]


def repeated(found: list[bytes]) -> list[bytes]:
    return [*found[:3], found[2], *found[3:]]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (edited, "audit-000000000001.jsonl:3: is not as it was written"),
        (edited_and_hashed_anew, "2 entries are missing between 2 and 5"),
        (deleted, "1 entries are missing between 2 and 4"),
        (reordered, "does not follow entry 4"),
        (truncated, "the end is cut: 6 entries were written, 4 are here"),
        (beheaded, "1 entries are missing between 0 and 2"),
        (respaced, "audit-000000000001.jsonl:1: is not as it was written"),
        (repeated, "entry 3 does not follow entry 3"),
    ],
)
def test_P10_every_change_shows(
    opened: Open,
    directory: Path,
    key: KeyFile,
    damage: Callable[[list[bytes]], list[bytes]],
    said: str,
) -> None:
    fill(opened())
    assert problems(directory, key) == []
    rewrite(directory, damage(lines(directory)))
    assert any(said in problem for problem in problems(directory, key))


def test_P10_a_cut_end_stays_on_record(opened: Open, directory: Path, key: KeyFile) -> None:
    """Also after the service has gone on behind the cut."""
    fill(opened())
    rewrite(directory, truncated(lines(directory)))
    again = opened()
    again.record(event(9))
    again.close()
    assert any("entries up to 6 were missing" in p for p in problems(directory, key))


def test_P10_a_lost_mark_shows(opened: Open, directory: Path, key: KeyFile) -> None:
    fill(opened())
    (directory / "mark").unlink()
    assert any("whether the end was cut" in p for p in problems(directory, key))
    assert opened().record(event(9)) is not None
    (directory / "mark").write_text(f"9 {'0' * 64} {'0' * 64}\n")
    assert any("whether the end was cut" in p for p in problems(directory, key))


def test_the_chain_goes_on_after_a_restart_and_across_files(
    opened: Open, directory: Path, key: KeyFile
) -> None:
    for _ in range(3):
        fill(opened(max_bytes=1000), 4)
    assert len(files(directory)) > 3
    found = AuditReader(directory, key).verify()
    assert (found.entries, found.problems) == (12, [])
    files(directory)[1].unlink()
    assert any("missing between" in problem for problem in problems(directory, key))


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_torn_by_a_crash_is_dropped(
    opened: Open, directory: Path, key: KeyFile, cut: int
) -> None:
    fill(opened())
    log = AuditFiles(directory, key)
    log.append([(event(7), 0, Origin())], sync=False)
    path = files(directory)[0]
    os.truncate(path, path.stat().st_size - cut)
    assert problems(directory, key) == []  # nobody was told of it
    assert opened().record(event(8)) is not None
    found = AuditReader(directory, key).verify()
    assert (found.entries, found.problems) == (7, [])


def test_two_processes_share_one_chain(directory: Path, key: KeyFile) -> None:
    """As the service and a command do; here two openings of the files."""
    one, two = AuditFiles(directory, key, 2000), AuditFiles(directory, key, 2000)

    def write(log: AuditFiles) -> None:
        for n in range(60):
            log.append([(event(n), 0, Origin())], sync=n % 10 == 0)

    threads = [threading.Thread(target=write, args=(log,)) for log in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.sync()
    found = AuditReader(directory, key).verify()
    assert (found.entries, found.problems) == (120, [])


def test_a_foreign_last_line_is_not_built_upon(opened: Open, directory: Path, key: KeyFile) -> None:
    fill(opened())
    with files(directory)[0].open("ab") as file:
        file.write(b'{"seq":7}\n')
    log = opened()
    with pytest.raises(AuditFailedError, match="norma audit verify"):
        log.check()
    assert log.record(event(1)) is None


def test_F35_a_log_that_cannot_be_written_refuses_changes_and_catches_up(
    opened: Open, directory: Path, key: KeyFile
) -> None:
    log = opened()
    log.record(event(0))
    aside = directory.with_name("aside")
    directory.rename(aside)
    assert log.record(event(1)) is None
    with pytest.raises(AuditFailedError, match="cannot be written"):
        log.check()
    log.note(event(2))
    aside.rename(directory)
    assert log.record(event(3)) is not None
    log.check()
    log.close()
    found = AuditReader(directory, key).verify()
    assert (found.entries, found.problems) == (4, [])


def test_without_a_master_key_the_chain_holds_all_the_same(directory: Path, key: KeyFile) -> None:
    log = AuditLog(directory, NoKey())
    fill(log)
    assert AuditReader(directory, NoKey()).verify().problems == []
    assert len((directory / "secret").read_bytes()) == 32
    assert problems(directory, key) == []  # read with a key, the secret is wrapped from then on
    assert len((directory / "secret").read_bytes()) > 32


def test_a_new_master_key_keeps_the_chain(opened: Open, directory: Path, key: KeyFile) -> None:
    fill(opened())
    key.write(key.keys(None).rotated())
    fill(opened())
    key.write(key.keys(None).without_retired())
    found = AuditReader(directory, key).verify()
    assert (found.entries, found.problems) == (12, [])
