"""P11, A06: the files without the key tell nothing; what is moved does not open."""

import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.errors import GalleryCorruptError, StartError, SubjectNotFoundError
from app.gallery.backup import backup, restore
from app.gallery.enrolment import Enrolment
from app.gallery.rotation import forget, rotate
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.types import Filter, GallerySpec, NewFace, SubjectSpec
from app.security.audit.chain import Entry
from app.security.audit.log import AuditLog
from app.security.audit.verify import AuditReader
from app.security.keysource import GivenKeys, KeyFile
from app.security.masterkey import MasterKey, MasterKeys
from tests.unit.app.gallery.conftest import CONTRACT, DIM, Open, vectors

SPEC = GallerySpec("people", CONTRACT, DIM, conflict="off", identify=True)
ROWS = vectors(150)


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "master.key")


def photo(n: int) -> bytes:
    return hashlib.sha256(b"photo %d" % n).digest()


def fill(service: GalleryService) -> None:
    service.create_gallery("me", SPEC)
    for n, row in enumerate(ROWS):
        enrol(service, f"s{n:03}", row, n)


def enrol(service: GalleryService, key: str, row: "np.ndarray", n: int) -> None:
    spec = SubjectSpec(
        name=f"Surname{n:03}",
        tags=("vip-tag",),
        metadata={"badge": f"B-{n:04}"},
        consent_ref=f"form-{n:04}",
    )
    faces = [NewFace(row, source=photo(n))]
    enrolment = Enrolment(key, faces, CONTRACT, create=spec, idempotency_key=f"k{n}")
    service.enrol("me", "people", enrolment)


def in_clear(directory: Path) -> set[str]:
    """What of the people is legible in any file: what P11 forbids."""
    units = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    forms = {
        "float32": [row.tobytes()[:24] for row in ROWS],
        "float16": [row.astype(np.float16).tobytes()[:16] for row in ROWS],
        "unit": [row.astype(np.float32).tobytes()[:24] for row in units],
        "code": [np.rint(row * 127).astype(np.int8).tobytes()[:8] for row in units],
        "text": [b"Surname", b"vip-tag", b"B-00", b"form-0"],
        "photo": [photo(n) for n in range(len(ROWS))],
    }
    files = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    return {
        name for name, wanted in forms.items() for one in wanted if any(one in f for f in files)
    }


def found(service: GalleryService, n: int, **options: object) -> str:
    chosen = SearchOptions(k=1, **options)  # type: ignore[arg-type]
    return service.search("me", "people", ROWS[n], CONTRACT, chosen).matches[0].subject.key


def changed(directory: Path, *statements: str) -> None:
    with closing(sqlite3.connect(directory / "gallery.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_P11_the_files_tell_nothing_without_the_key(
    open_gallery: Open, tmp_path: Path, key: KeyFile
) -> None:
    data = tmp_path / "data"
    service = open_gallery(data, keys=key)
    fill(service)
    service._store.keeper.purge().result()
    assert in_clear(data) == set()  # with the write-ahead log
    backup(data / "gallery.db", data / "backup.db")
    service.close()
    assert list(data.glob("index/*/*.segment"))
    assert in_clear(data) == set()
    key.path.rename(tmp_path / "elsewhere")
    with pytest.raises(StartError, match="put it back"):
        open_gallery(data, keys=key)
    with pytest.raises(StartError, match="NORMA_ENCRYPTION=off"):
        open_gallery(data)


def test_without_a_key_the_same_files_tell_all(open_gallery: Open, tmp_path: Path) -> None:
    """Otherwise the test above would say nothing."""
    service = open_gallery(tmp_path / "data")
    fill(service)
    service._store.keeper.purge().result()
    service.close()
    assert in_clear(tmp_path / "data") >= {"float16", "text", "photo"}


@pytest.mark.parametrize("feature_type", ["float16", "float32"])
def test_everything_comes_back(open_gallery: Open, key: KeyFile, feature_type: str) -> None:
    service = open_gallery(keys=key, feature_type=feature_type)
    fill(service)
    service._store.keeper.purge().result()
    service.close()
    again = open_gallery(keys=key, feature_type=feature_type)
    parts = again._store.projections.get(again.gallery("me", "people")).view.parts
    assert [part.segment.sealed for part in parts] == [True, True, False]  # from the files
    assert [found(again, n) for n in (0, 70, 149)] == ["s000", "s070", "s149"]
    spec = again.subject("me", "people", "s007").spec
    assert spec == SubjectSpec("Surname007", {"badge": "B-0007"}, ("vip-tag",), "form-0007")
    [face] = again.faces("me", "people", "s007")
    assert face.source == photo(7)
    kept = again.face_feature("me", "people", face.uid)
    np.testing.assert_array_equal(kept, ROWS[7].astype(feature_type).astype(np.float32))
    badge = Filter(tags=("vip-tag",), metadata={"badge": "B-0031"})
    assert found(again, 3, filter=badge) == "s031"
    repeated = Enrolment(
        "s007", [NewFace(ROWS[7], source=photo(7))], CONTRACT, create=spec, idempotency_key="k7"
    )
    assert again.enrol("me", "people", repeated).repeated


@pytest.fixture
def stored(open_gallery: Open, tmp_path: Path, key: KeyFile) -> Path:
    """A closed, encrypted data directory without index files."""
    service = open_gallery(tmp_path / "data", keys=key)
    fill(service)
    service.close()
    shutil.rmtree(tmp_path / "data" / "index")
    return tmp_path / "data"


SWAPPED_FACES = (
    "UPDATE faces SET subject_id = -1 WHERE subject_id = 5",
    "UPDATE faces SET subject_id = 5 WHERE subject_id = 6",
    "UPDATE faces SET subject_id = 6 WHERE subject_id = -1",
)
SWAPPED_FEATURES = (
    "UPDATE faces SET feature = (SELECT feature FROM faces WHERE id = 6) WHERE id = 5",
)


@pytest.mark.parametrize("swap", [SWAPPED_FACES, SWAPPED_FEATURES])
def test_P11_a_face_moved_to_another_subject_does_not_open(
    open_gallery: Open, stored: Path, key: KeyFile, swap: tuple[str, ...]
) -> None:
    changed(stored, *swap)
    with pytest.raises(GalleryCorruptError, match="moved here from elsewhere"):
        open_gallery(stored, keys=key)


def test_P11_two_subjects_cannot_exchange_their_ids(
    open_gallery: Open, stored: Path, key: KeyFile
) -> None:
    changed(
        stored,
        "UPDATE subjects SET key = 'x' WHERE key = 's005'",
        "UPDATE subjects SET key = 's005' WHERE key = 's006'",
        "UPDATE subjects SET key = 's006' WHERE key = 'x'",
    )
    service = open_gallery(stored, keys=key)
    for read in (service.subject, service.faces):
        with pytest.raises(GalleryCorruptError):
            read("me", "people", "s005")
    assert service.subject("me", "people", "s007").faces == 1
    assert service.status().ready
    # What cannot be read can be erased all the same.
    assert service.erase_subject("me", "people", "s005").purged
    assert service.erase_gallery("me", "people").purged


@pytest.mark.parametrize("column", ["owner", "uid", "contract_id"])
def test_A06_a_gallery_is_bound_to_its_owner_and_its_contract(
    open_gallery: Open, stored: Path, key: KeyFile, column: str
) -> None:
    changed(stored, f"UPDATE galleries SET {column} = 'other'")  # noqa: S608
    with pytest.raises(GalleryCorruptError, match="data key does not open"):
        open_gallery(stored, keys=key)


def test_A06_another_gallerys_key_does_not_open_a_gallery(
    open_gallery: Open, tmp_path: Path, key: KeyFile
) -> None:
    service = open_gallery(tmp_path / "data", keys=key)
    fill(service)
    service.create_gallery("you", SPEC)
    service.close()
    changed(
        tmp_path / "data",
        "UPDATE galleries SET data_key = (SELECT data_key FROM galleries WHERE owner = 'me')",
    )
    with pytest.raises(GalleryCorruptError, match="data key does not open"):
        open_gallery(tmp_path / "data", keys=key)


def test_A06_F14_another_gallerys_index_file_is_refused(
    open_gallery: Open, tmp_path: Path, key: KeyFile
) -> None:
    data = tmp_path / "data"
    service = open_gallery(data, keys=key)
    fill(service)
    service.create_gallery("you", SPEC)
    for n in range(100):
        faces = [NewFace(vectors(1, seed=n + 1000)[0])]
        service.enrol("you", "people", Enrolment(f"y{n}", faces, CONTRACT, SubjectSpec()))
    service._store.keeper.purge().result()
    mine, yours = (data / "index" / service.gallery(o, "people").uid for o in ("me", "you"))
    service.close()
    # Its manifest, rewritten to claim the file as its own.
    [theirs] = yours.glob("*.segment")
    stolen = sorted(mine.glob("*.segment"))[0]
    stolen.write_bytes(theirs.read_bytes())
    manifest = json.loads((mine / "manifest.json").read_text())
    entry = next(e for e in manifest["segments"] if e["name"] == stolen.name)
    line = theirs.read_bytes().split(b"\n")[0] + b"\n"
    entry["sha256"] = hashlib.sha256(line).hexdigest()
    del manifest["sha256"]
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (mine / "manifest.json").write_text(json.dumps({**manifest, "sha256": digest}))
    again = open_gallery(data, keys=key)
    assert [found(again, n) for n in (0, 70, 149)] == ["s000", "s070", "s149"]


@pytest.mark.parametrize("at", [0.3, 0.6, 0.99])
def test_F14_a_damaged_sealed_file_is_rebuilt(
    open_gallery: Open, tmp_path: Path, key: KeyFile, at: float
) -> None:
    service = open_gallery(tmp_path / "data", keys=key)
    fill(service)
    service._store.keeper.purge().result()
    service.close()
    path = sorted((tmp_path / "data").glob("index/*/*.segment"))[0]
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * at)] ^= 1
    path.write_bytes(raw)
    again = open_gallery(tmp_path / "data", keys=key)
    assert [found(again, n) for n in (0, 70, 149)] == ["s000", "s070", "s149"]


def test_a_database_that_was_not_encrypted_becomes_so(
    open_gallery: Open, tmp_path: Path, key: KeyFile
) -> None:
    data = tmp_path / "data"
    service = open_gallery(data)
    fill(service)
    service.erase_subject("me", "people", "s009")
    service._store.keeper.purge().result()
    before = service.gallery("me", "people")
    service.close()
    old = [data / "gallery.db", *data.glob("index/*/*.segment")]
    for n, path in enumerate(old):
        os.link(path, tmp_path / f"old-{n}")
    service = open_gallery(data, keys=key)
    assert in_clear(data) == set()
    for n in range(len(old)):  # overwritten, not just unlinked
        assert not (tmp_path / f"old-{n}").read_bytes().strip(b"\0")
    assert sorted(path.name for path in data.glob("gallery.db*")) == [
        "gallery.db",
        "gallery.db-shm",
        "gallery.db-wal",
    ]
    assert service.gallery("me", "people") == before
    assert [found(service, n) for n in (0, 70, 149)] == ["s000", "s070", "s149"]
    assert found(service, 3, filter=Filter(metadata={"badge": "B-0031"})) == "s031"
    assert service.subject("me", "people", "s007").spec.consent_ref == "form-0007"
    # Ids go on where they were: one that had been erased is not given again.
    enrol(service, "new", ROWS[9], 200)
    assert service._store.projections.get(before).view.newest_id == 151
    service.close()
    assert found(open_gallery(data, keys=key), 9) == "new"


def test_a_new_master_key_leaves_everything_readable(
    open_gallery: Open, stored: Path, key: KeyFile, tmp_path: Path
) -> None:
    service = open_gallery(stored, keys=key)
    backup(stored / "gallery.db", tmp_path / "before.db")
    service.close()
    old = key.keys(None).current
    new, count = rotate(stored, key)
    assert (new != old, count) == (True, 1)
    assert old.encode() not in (stored / "gallery.db").read_bytes()
    service = open_gallery(stored, keys=key)
    assert found(service, 70) == "s070"
    service.close()
    stranger = GivenKeys(MasterKeys([MasterKey.generate()]))
    with pytest.raises(StartError, match="another installation's"):
        restore(tmp_path / "before.db", stored, stranger)
    restore(tmp_path / "before.db", stored, key)  # wrapped by the retired key
    with pytest.raises(StartError, match="retired"):
        forget(stored, key)
    service = open_gallery(stored, keys=key)
    assert found(service, 70) == "s070"
    service.close()
    assert forget(stored, key) == new
    assert found(open_gallery(stored, keys=key), 70) == "s070"


def test_a_running_gallery_is_not_rotated(open_gallery: Open, stored: Path, key: KeyFile) -> None:
    open_gallery(stored, keys=key)
    before = key.path.read_text()
    with pytest.raises(StartError, match="in use"):
        rotate(stored, key)
    assert key.path.read_text() == before


def test_a_key_given_in_two_lines_is_rotated_by_the_next_start(
    open_gallery: Open, tmp_path: Path
) -> None:
    """As from the environment or a command."""
    first = MasterKeys([MasterKey.generate()])
    service = open_gallery(tmp_path / "data", keys=GivenKeys(first))
    fill(service)
    service.close()
    second = first.rotated()
    service = open_gallery(tmp_path / "data", keys=GivenKeys(second))
    assert found(service, 70) == "s070"
    service.close()
    alone = GivenKeys(second.without_retired())
    assert found(open_gallery(tmp_path / "data", keys=alone), 70) == "s070"


def test_erasing_works_as_before(open_gallery: Open, tmp_path: Path, key: KeyFile) -> None:
    service = open_gallery(tmp_path / "data", keys=key)
    fill(service)
    with service._store.read() as connection:
        raw = connection.execute("SELECT feature, source FROM faces WHERE id = 8").fetchone()
        wrapped = connection.execute("SELECT data_key FROM galleries").fetchone()[0]
    service._store.keeper.purge().result()
    assert service.erase_subject("me", "people", "s007").purged
    files = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not any(one[:32] in file for one in raw for file in files)
    assert any(wrapped in file for file in files)
    assert service.erase_gallery("me", "people").purged
    files = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not any(wrapped in file for file in files)  # and with it all that it sealed


def test_P07_who_has_expired_is_erased_and_that_is_recorded(
    open_gallery: Open, tmp_path: Path, key: KeyFile
) -> None:
    audit = AuditLog(tmp_path / "audit", key)
    service = open_gallery(tmp_path / "data", keys=key, audit=audit)
    service.create_gallery("me", SPEC)
    for name, expires_at in (("over", 1), ("stays", 2**50)):
        spec = SubjectSpec(expires_at=expires_at)
        faces = [NewFace(ROWS[expires_at % 7])]
        service.enrol("me", "people", Enrolment(name, faces, CONTRACT, create=spec))
    service._store.keeper.sweep()
    with pytest.raises(SubjectNotFoundError):
        service.subject("me", "people", "over")
    assert found(service, 1) == "stays"
    assert service.subject("me", "people", "stays").faces == 1
    service.close()
    audit.close()
    reader = AuditReader(tmp_path / "audit", key)
    entries = [entry for _, entry in reader.entries() if isinstance(entry, Entry)]
    expired = [one.fields for one in entries if one.fields["action"] == "subject.expired"]
    assert [one["subject"] for one in expired] == [reader.chain.subject("me", "people", "over")]
    assert reader.verify().problems == []
