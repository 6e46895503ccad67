"""Backup, restore, export and the check of the files."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from app.errors import GalleryCorruptError, StartError, SubjectNotFoundError
from app.gallery.backup import backup, restore
from app.gallery.enrolment import Enrolment
from app.gallery.erase_check import holding, traces
from app.gallery.export import export
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.security.keysource import NoKey
from tests.unit.app.gallery.conftest import CONTRACT, DIM, Open, vectors

SPEC = GallerySpec("people", CONTRACT, DIM, conflict="off", identify=True)


def filled(service: GalleryService, count: int = 80) -> np.ndarray:
    rows = vectors(count)
    service.create_gallery("me", SPEC)
    for n, row in enumerate(rows):
        spec = SubjectSpec(name=f"Person {n}", tags=("a",), metadata={"n": n})
        service.enrol("me", "people", Enrolment(f"s{n:03}", [NewFace(row)], CONTRACT, create=spec))
    return rows


def test_a_backup_comes_back_without_those_erased_since(open_gallery: Open, tmp_path: Path) -> None:
    service = open_gallery()
    rows = filled(service)
    backup(tmp_path / "data" / "gallery.db", tmp_path / "backup")
    service.erase_subject("me", "people", "s003")
    service.enrol("me", "people", Enrolment("late", [NewFace(rows[0])], CONTRACT, SubjectSpec()))
    service.close()
    restore(tmp_path / "backup", tmp_path / "data", NoKey())
    again = open_gallery()
    for key in ("late", "s003"):
        with pytest.raises(SubjectNotFoundError):
            again.subject("me", "people", key)
    answer = again.search("me", "people", rows[5], CONTRACT, SearchOptions(k=1))
    assert answer.matches[0].subject.key == "s005"
    assert again.gallery("me", "people").faces == 79


def test_a_running_gallery_is_not_restored_over(open_gallery: Open, tmp_path: Path) -> None:
    open_gallery()
    backup(tmp_path / "data" / "gallery.db", tmp_path / "backup")
    with pytest.raises(StartError, match="in use by process"):
        restore(tmp_path / "backup", tmp_path / "data", NoKey())


def test_a_damaged_backup_changes_nothing(open_gallery: Open, tmp_path: Path) -> None:
    service = open_gallery()
    filled(service, 5)
    service.close()
    (tmp_path / "backup").write_bytes(b"not a database" * 1000)
    with pytest.raises(GalleryCorruptError):
        restore(tmp_path / "backup", tmp_path / "data", NoKey())
    assert open_gallery().gallery("me", "people").subjects == 5


def test_an_export_holds_everything(open_gallery: Open) -> None:
    service = open_gallery(feature_type="float32")
    rows = filled(service, 450)
    lines = [json.loads(line) for line in export(service._store, "me", "people")]
    assert [line["subject"] for line in lines] == [f"s{n:03}" for n in range(450)]
    assert lines[7]["name"] == "Person 7"
    assert lines[7]["metadata"] == {"n": 7}
    [face] = lines[7]["faces"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(face["feature"]), "<f4"), rows[7])


def test_the_check_finds_what_is_there_and_not_what_is_gone(
    open_gallery: Open, tmp_path: Path
) -> None:
    service = open_gallery()
    rows = filled(service)
    service._store.keeper.purge().result()
    assert holding(tmp_path / "data", traces(rows[3]))
    assert service.erase_subject("me", "people", "s003").purged
    assert holding(tmp_path / "data", traces(rows[3])) == []
    assert holding(tmp_path / "data", traces(rows[4]))
