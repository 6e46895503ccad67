"""`norma gallery`, on files that the store itself wrote."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from app.gallery.enrolment import Enrolment
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.security.audit.chain import Entry
from app.security.audit.verify import AuditReader
from app.security.keysource import KeyFile


def _status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["gallery", *arguments])
    return int(ended.value.code or 0)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NORMA_DATA_DIR", str(tmp_path))
    (tmp_path / "gallery").mkdir()
    return tmp_path / "gallery"


def test_erase_check_finds_what_is_there_and_nothing_else(directory: Path, tmp_path: Path) -> None:
    feature = np.arange(128, dtype=np.float32) / 7
    with (tmp_path / "feature.npy").open("wb") as file:
        np.lib.format.write_array(file, feature, allow_pickle=False)
    (directory / "left.bin").write_bytes(b"x" * 100)
    assert _status("erase-check", str(tmp_path / "feature.npy")) == 0
    (directory / "left.bin").write_bytes(b"x" * 100 + feature.astype(np.float16).tobytes())
    assert _status("erase-check", str(tmp_path / "feature.npy")) == 1


def test_a_damaged_backup_is_refused_and_changes_nothing(directory: Path, tmp_path: Path) -> None:
    (directory / "gallery.db").write_bytes(b"what was there")
    (tmp_path / "backup.db").write_bytes(b"no database at all, only some bytes" * 40)
    assert _status("restore", str(tmp_path / "backup.db")) == 1
    assert (directory / "gallery.db").read_bytes() == b"what was there"


def test_one_person_is_exported_beside_a_running_service_and_without(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = KeyFile(tmp_path / "master.key")
    service = GalleryService(GalleryStore(directory, StoreOptions(keys=key)), 1)
    service.create_gallery("local", GallerySpec("staff", "c", 4))
    feature = np.array([1, 2, 3, 4], np.float32)
    for name in ("anna", "tom"):
        spec = SubjectSpec(name=name.title())
        service.enrol("local", "staff", Enrolment(name, [NewFace(feature)], "c", create=spec))
    told = []
    for running in (True, False):
        assert _status("export-subject", "staff", "anna") == 0
        told.append(json.loads(capsys.readouterr().out))
        if running:
            service.close()
    assert told[0] == told[1]
    assert (told[0]["subject"]["name"], len(told[0]["faces"])) == ("Anna", 1)
    assert _status("export-subject", "staff", "nobody") == 1
    assert _status("export-subject", "staff", "anna", "--owner", "other") == 1


def test_a_new_master_key_is_one_command(directory: Path, tmp_path: Path) -> None:
    key = KeyFile(tmp_path / "master.key")
    options = StoreOptions(keys=key)
    GalleryStore(directory, options).close()
    old = key.keys(None).current
    assert _status("rotate-key") == 0
    assert key.keys(old).current != old
    GalleryStore(directory, options).close()
    assert _status("rotate-key", "--forget") == 0
    assert old not in key.keys(None)
    GalleryStore(directory, options).close()
    actions = [
        str(entry.fields["action"])
        for _, entry in AuditReader(tmp_path / "audit", key).entries()
        if isinstance(entry, Entry)
    ]
    assert actions == ["master_key.rotated", "master_key.forgotten"]
