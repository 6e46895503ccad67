"""F05–F16 and P01–P03: what fails, what goes on, what is left on the disk."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from app.errors import (
    GalleryCorruptError,
    NormaError,
    StartError,
    StorageFailedError,
    StorageFullError,
    SubjectNotFoundError,
)
from app.gallery.enrolment import Enrolment
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from tests.faults.gallery_process import feature, key_file, source
from tests.faults.harness import assert_no_residue, start

DIM = 64
SPEC = GallerySpec("people", "contract", DIM, conflict="off", identify=True)
Open = Callable[..., GalleryService]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def opened(data: Path) -> Iterator[Open]:
    services: list[GalleryService] = []

    def open_(**options: object) -> GalleryService:
        chosen = StoreOptions(**{"segment_rows": 64, **options})  # type: ignore[arg-type]
        services.append(GalleryService(GalleryStore(data, chosen), 1))
        return services[-1]

    yield open_
    for service in services:
        with suppress(NormaError, ValueError, sqlite3.Error):
            service.close()


def enrol(service: GalleryService, key: str, *seeds: int) -> None:
    faces = [NewFace(feature(seed), source=source(seed)) for seed in seeds]
    spec = SubjectSpec(name=f"name-of-{key}")
    service.enrol("owner", "people", Enrolment(key, faces, "contract", create=spec))


def fill(service: GalleryService, subjects: int) -> None:
    service.create_gallery("owner", SPEC)
    for n in range(subjects):
        enrol(service, f"s{n}", 2 * n, 2 * n + 1)


def best(service: GalleryService, seed: int) -> tuple[str, float] | None:
    answer = service.search("owner", "people", feature(seed), "contract", SearchOptions(k=1))
    matches = answer.matches
    return (matches[0].subject.key, matches[0].similarity) if matches else None


def finds(service: GalleryService, key: str, seed: int) -> bool:
    found = best(service, seed)
    return found is not None and found[0] == key and found[1] > 0.999


def segments(data: Path) -> list[Path]:
    return sorted(data.glob("index/*/*.segment"))


def test_F09_the_second_process_names_the_holder(data: Path, opened: Open) -> None:
    opened()
    code = "import sys; from pathlib import Path; from app.gallery.store import GalleryStore\n"
    code += "GalleryStore(Path(sys.argv[1]))"
    root = Path(__file__).parent.parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", code, str(data)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert ran.returncode == 1
    assert f"process {os.getpid()} on" in ran.stderr


def test_F10_a_full_disk_refuses_and_recovers(data: Path, opened: Open) -> None:
    service = opened(max_bytes=512 * 1024)
    fill(service, 3)
    stored = 3
    with pytest.raises(StorageFullError):  # noqa: PT012 - some enrolment of many
        for stored in range(3, 2000):
            enrol(service, f"s{stored}", 2 * stored, 2 * stored + 1)
    assert service.gallery("owner", "people").subjects == stored
    with pytest.raises(SubjectNotFoundError):
        service.subject("owner", "people", f"s{stored}")
    assert finds(service, "s1", 2)
    assert service.status().ready
    # New rows go to new pages, and a page is free once all that stood on it have gone.
    assert all(service.erase_subject("owner", "people", f"s{n}").purged for n in (0, *range(3, 40)))
    enrol(service, "s0", 0, 1)
    assert finds(service, "s0", 0)


def test_F11_erasing_on_a_full_disk_uses_the_reserve(
    data: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(opened(), 3)
    opened_again = _reopened(opened, data, monkeypatch, "before_commit:enospc:2")
    # The first pass is the start's own; the second is the erasure's, which then succeeds.
    receipt = opened_again.erase_subject("owner", "people", "s1")
    assert receipt.faces == 2
    assert not finds(opened_again, "s1", 2)


def _reopened(
    opened: Open, data: Path, monkeypatch: pytest.MonkeyPatch, points: str
) -> GalleryService:
    copy = data.with_name("copy")
    shutil.copytree(data, copy)
    shutil.rmtree(copy / "index")
    monkeypatch.setenv("NORMA_FAILPOINTS", points)
    return GalleryService(GalleryStore(copy, StoreOptions(segment_rows=64)), 1)


@pytest.mark.parametrize("nth", range(2, 6))
def test_F12_after_an_io_error_the_store_is_read_only(
    data: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    monkeypatch.setenv("NORMA_FAILPOINTS", f"before_commit:eio:{nth + 2}")
    service = opened()
    service.create_gallery("owner", SPEC)
    acknowledged = 0
    with pytest.raises(StorageFailedError):  # noqa: PT012 - some enrolment of many
        for n in range(20):
            enrol(service, f"s{n}", 2 * n, 2 * n + 1)
            acknowledged = n + 1
    assert not service.status().ready
    with pytest.raises(StorageFailedError):
        enrol(service, "later", 100)
    if acknowledged:
        assert finds(service, "s0", 0)
    service._store._lock.release()
    monkeypatch.delenv("NORMA_FAILPOINTS")
    again = opened()
    assert again.gallery("owner", "people").subjects == acknowledged
    enrol(again, "later", 100)


def test_F13_an_unusable_directory_is_refused_in_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with pytest.raises(StartError, match="cannot be used"):
        GalleryStore(blocked / "data")


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def _zero(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-4096:] = bytes(4096)
    path.write_bytes(raw)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [_truncate, _flip, _zero, _empty, _remove])
@pytest.mark.parametrize("what", ["segment", "manifest"])
def test_F14_a_damaged_snapshot_is_rebuilt(
    data: Path, opened: Open, damage: Callable[[Path], None], what: str
) -> None:
    service = opened()
    fill(service, 100)
    service._store.keeper.purge().result()
    before = [best(service, seed) for seed in range(0, 200, 7)]
    service.close()
    assert len(segments(data)) == 3
    [manifest] = data.glob("index/*/manifest.json")
    damage(segments(data)[1] if what == "segment" else manifest)
    again = opened()
    assert [best(again, seed) for seed in range(0, 200, 7)] == before


def test_F14_another_gallerys_snapshot_is_not_believed(data: Path, opened: Open) -> None:
    service = opened()
    fill(service, 70)
    other = GallerySpec("other", "contract", DIM, conflict="off", identify=True)
    service.create_gallery("stranger", other)
    for n in range(70):
        faces = [NewFace(feature(5000 + 2 * n)), NewFace(feature(5001 + 2 * n))]
        enrolment = Enrolment(f"o{n}", faces, "contract", create=SubjectSpec())
        service.enrol("stranger", "other", enrolment)
    service._store.keeper.purge().result()
    one = data / "index" / service.gallery("owner", "people").uid
    two = data / "index" / service.gallery("stranger", "other").uid
    service.close()
    shutil.rmtree(one)
    shutil.copytree(two, one)
    again = opened()
    assert finds(again, "s3", 6)
    assert best(again, 5000) is not None
    assert not finds(again, "o0", 5000)


def test_a_sound_snapshot_is_used(data: Path, opened: Open) -> None:
    """Otherwise the tests above would say nothing."""
    service = opened()
    fill(service, 100)
    service._store.keeper.purge().result()
    service.close()
    before = segments(data)
    again = opened()
    parts = again._store.projections.get(again.gallery("owner", "people")).view.parts
    assert [part.segment.sealed for part in parts] == [True, True, True, False]
    assert segments(data) == before


@pytest.mark.parametrize("at", [0, 30, 8192 * 2 + 3])
def test_F15_a_damaged_database_is_not_served(data: Path, opened: Open, at: int) -> None:
    service = opened()
    fill(service, 60)
    service.close()
    path = data / "gallery.db"
    raw = bytearray(path.read_bytes())
    raw[at : at + 200] = b"\xff" * 200
    path.write_bytes(raw)
    with pytest.raises((GalleryCorruptError, StartError)):
        opened()


def test_F16_lost_wal_and_shm_are_no_crash_loop(data: Path, opened: Open) -> None:
    service = opened()
    fill(service, 5)
    service.close()
    for name in ("gallery.db-wal", "gallery.db-shm"):
        (data / name).write_bytes(b"stale")
    assert finds(opened(), "s3", 6)


def test_P01_P02_erased_faces_leave_no_byte(data: Path, opened: Open) -> None:
    """Deleting here and there makes SQLite merge pages, which is when copies stay behind."""
    service = opened()
    fill(service, 150)
    rng = np.random.default_rng(0)
    gone = rng.permutation(150)[:90]
    for n in gone:
        assert service.erase_subject("owner", "people", f"s{n}").purged
        assert not finds(service, f"s{n}", 2 * n)
    seeds = {int(seed) for n in gone for seed in (2 * n, 2 * n + 1)}
    assert_no_residue(data, seeds)
    for path in (path for path in data.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        assert all(f"name-of-s{n}\0".encode() not in raw + b"\0" for n in gone)
    service.close()
    assert_no_residue(data, seeds)


def test_P03_an_old_backup_does_not_bring_anyone_back(data: Path, opened: Open) -> None:
    service = opened()
    fill(service, 100)
    backup = data.with_name("backup.db")
    with closing(sqlite3.connect(backup)) as target, service._store.read() as connection:
        connection.backup(target)
    service.erase_subject("owner", "people", "s3")
    uid = service.faces("owner", "people", "s4")[0].uid
    service.erase_face("owner", "people", "s4", uid)
    service.erase_subject("owner", "people", "s5")
    enrol(service, "s5", 900)
    service.close()
    shutil.copy(backup, data / "gallery.db")
    again = opened()
    assert not finds(again, "s3", 6)
    assert len(again.faces("owner", "people", "s4")) == 1
    with pytest.raises(SubjectNotFoundError):
        again.subject("owner", "people", "s5")
    assert finds(again, "s6", 12)
    assert again.gallery("owner", "people").faces == 200 - 5


def test_F15_a_large_damaged_database_is_found_out_while_serving(data: Path, opened: Open) -> None:
    service = opened()
    fill(service, 60)
    service._store.keeper.purge().result()
    service.close()
    path = data / "gallery.db"
    raw = bytearray(path.read_bytes())
    # A leaf that the start has no need to read: its faces are in the snapshot.
    page = raw.index(feature(0).astype(np.float16).tobytes()) // 8192 * 8192
    raw[page : page + 8] = b"\xff" * 8
    path.write_bytes(raw)
    again = opened(check_first_bytes=0)
    again._store._checking.join()
    assert not again.status().ready
    with pytest.raises(GalleryCorruptError):
        enrol(again, "later", 900)


@pytest.mark.parametrize("point", ["encrypt_copied", "encrypt_linked", "encrypt_replaced"])
def test_F07_a_kill_while_encrypting_leaves_the_old_database_or_the_new(
    data: Path, opened: Open, point: str
) -> None:
    service = opened()
    fill(service, 100)
    service._store.keeper.purge().result()
    service.close()
    key_file(data).keys(None)
    process = start(data, f"{point}:kill:1")
    assert process.wait() == -signal.SIGKILL
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()
    again = opened(keys=key_file(data))
    assert all(finds(again, f"s{n}", 2 * n) for n in range(0, 100, 9))
    assert again.subject("owner", "people", "s7").spec.name == "name-of-s7"
    again.close()
    assert not list(data.glob("gallery.db.*"))
    assert_no_residue(data, set(range(200)))
