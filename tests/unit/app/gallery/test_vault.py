"""The vault: kept where a gallery says so, sealed, and gone with its subject."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import BusyError, GalleryCorruptError, VaultUnencryptedError
from app.gallery import operations
from app.gallery.backup import backup, restore
from app.gallery.enrolment import Enrolment
from app.gallery.erase_check import holding
from app.gallery.policy import Policy
from app.gallery.service import GalleryService
from app.gallery.types import Gallery, GallerySpec, NewFace, SubjectSpec
from app.gallery.writer import Transaction
from app.security.keysource import KeyFile
from tests.unit.app.gallery.conftest import CONTRACT, DIM, Open, vectors

SPEC = GallerySpec("people", CONTRACT, DIM, conflict="off", policy=Policy(vault=True))
ROWS = vectors(12)
PEOPLE = ("anna", "bert", "carl")


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "master.key")


@pytest.fixture
def vault(open_gallery: Open, key: KeyFile) -> Iterator[GalleryService]:
    """Three people with two faces each."""
    service = open_gallery(keys=key)
    service.create_gallery("me", SPEC)
    for n, person in enumerate(PEOPLE):
        enrol(service, person, 2 * n, 2 * n + 1)
    yield service
    with suppress(ValueError, sqlite3.Error):
        service.close()


def picture(n: int) -> bytes:
    return b"picture %03d " % n * 2000


def enrol(service: GalleryService, key: str, *numbers: int) -> None:
    faces = [NewFace(ROWS[n], keepsake=picture(n)) for n in numbers]
    service.enrol("me", "people", Enrolment(key, faces, CONTRACT, create=SubjectSpec()))


def kept(service: GalleryService, key: str) -> list[bytes | None]:
    return [one.keepsake for one in service.dossier("me", "people", key).faces]


def switched(on: bool) -> Callable[[Gallery], GallerySpec]:
    def change(gallery: Gallery) -> GallerySpec:
        return replace(gallery.spec, policy=Policy(vault=on))

    return change


def stored(service: GalleryService, table: str = "vault", column: str = "keepsake") -> list[bytes]:
    """The beginnings of what the database holds, as it lies in the files."""
    with service.store.read() as connection:
        rows = connection.execute(f"SELECT {column} FROM {table} ORDER BY rowid").fetchall()  # noqa: S608
    return [row[0][:40] for row in rows]


def residue(service: GalleryService, wanted: list[bytes]) -> list[Path]:
    service.store.keeper.purge().result()
    return holding(service.store.directory, wanted)


def test_it_is_off_until_someone_decides_so(open_gallery: Open, key: KeyFile) -> None:
    service = open_gallery(keys=key)
    service.create_gallery("me", replace(SPEC, policy=Policy()))
    enrol(service, "anna", 0)
    assert kept(service, "anna") == [None]
    assert stored(service) == stored(service, "vault_keys", "key") == []


def test_nothing_is_kept_unencrypted(open_gallery: Open) -> None:
    service = open_gallery()
    with pytest.raises(VaultUnencryptedError):
        service.create_gallery("me", SPEC)
    service.create_gallery("me", replace(SPEC, policy=Policy()))
    with pytest.raises(VaultUnencryptedError):
        service.change_gallery("me", "people", switched(True))
    assert not service.gallery("me", "people").spec.policy.vault


def test_what_is_kept_comes_back_also_after_a_restart(
    vault: GalleryService, open_gallery: Open, key: KeyFile
) -> None:
    assert kept(vault, "bert") == [picture(2), picture(3)]
    vault.close()
    assert kept(open_gallery(keys=key), "bert") == [picture(2), picture(3)]


def test_P11_no_file_shows_a_picture(vault: GalleryService) -> None:
    assert residue(vault, [b"picture 00"]) == []
    assert len(residue(vault, stored(vault))) > 0, "else this test could not find anything"


@pytest.mark.parametrize("other", [2, 3], ids=["of the same subject", "of another subject"])
def test_a_picture_put_under_another_face_does_not_open(
    vault: GalleryService, open_gallery: Open, key: KeyFile, other: int
) -> None:
    vault.close()
    with closing(sqlite3.connect(vault.store.directory / "gallery.db")) as database, database:
        database.execute(
            "UPDATE vault SET keepsake = (SELECT keepsake FROM vault WHERE face_id = ?)"
            " WHERE face_id = ?",
            (other + 1, 3 if other == 3 else 4),
        )
    service = open_gallery(keys=key)
    with pytest.raises(GalleryCorruptError, match="keepsake"):
        kept(service, "bert")


def test_a_subjects_key_is_bound_to_the_subject(
    vault: GalleryService, open_gallery: Open, key: KeyFile
) -> None:
    vault.close()
    with closing(sqlite3.connect(vault.store.directory / "gallery.db")) as database, database:
        database.execute(
            "UPDATE vault_keys SET key = (SELECT key FROM vault_keys WHERE subject_id = 1)"
            " WHERE subject_id = 2"
        )
    with pytest.raises(GalleryCorruptError, match="vault key"):
        kept(open_gallery(keys=key), "bert")


def test_erasing_a_subject_erases_pictures_and_key_from_every_file(vault: GalleryService) -> None:
    gone = stored(vault)[2:4] + stored(vault, "vault_keys", "key")[1:2]
    assert len(residue(vault, gone)) > 0
    assert vault.erase_subject("me", "people", "bert").purged
    assert holding(vault.store.directory, gone) == []
    assert kept(vault, "anna") == [picture(0), picture(1)]


def test_erasing_a_face_leaves_the_subjects_other_one(vault: GalleryService) -> None:
    first, second = vault.faces("me", "people", "bert")
    gone = stored(vault)[2:3]
    assert vault.erase_face("me", "people", "bert", first.uid).purged
    assert holding(vault.store.directory, gone) == []
    assert kept(vault, "bert") == [picture(3)]
    assert second.uid


def test_erasing_the_gallery_erases_all(vault: GalleryService) -> None:
    gone = stored(vault) + stored(vault, "vault_keys", "key")
    assert vault.erase_gallery("me", "people").purged
    assert holding(vault.store.directory, gone) == []
    assert stored(vault) == []


def test_switched_off_nothing_opens_at_once_and_soon_nothing_is_there(
    vault: GalleryService,
) -> None:
    gone = stored(vault) + stored(vault, "vault_keys", "key")
    vault.change_gallery("me", "people", switched(False))
    assert kept(vault, "anna") == [None, None]
    assert residue(vault, gone) == []
    enrol(vault, "anna", 6)
    assert kept(vault, "anna") == [None, None, None]


def test_switched_on_it_keeps_what_comes_from_then_on(vault: GalleryService) -> None:
    vault.change_gallery("me", "people", switched(False))
    vault.store.keeper.purge().result()
    vault.change_gallery("me", "people", switched(True))
    enrol(vault, "anna", 6)
    assert kept(vault, "anna") == [None, None, picture(6)]
    vault.store.keeper.purge().result()
    assert kept(vault, "anna") == [None, None, picture(6)]


def test_the_vault_opens_again_once_it_is_empty(vault: GalleryService) -> None:
    def off_and_on(transaction: Transaction) -> None:  # before any housekeeping
        operations.change_gallery(transaction, "me", "people", switched(False), None)
        operations.change_gallery(transaction, "me", "people", switched(True), None)

    with pytest.raises(BusyError):
        vault.store.write(off_and_on)
    assert kept(vault, "anna") == [picture(0), picture(1)]


def test_other_terms_leave_the_vault_alone(vault: GalleryService) -> None:
    vault.change_gallery("me", "people", lambda gallery: replace(gallery.spec, identify=True))
    vault.store.keeper.purge().result()
    assert kept(vault, "carl") == [picture(4), picture(5)]


def test_a_backup_brings_pictures_back_but_not_the_erased_ones(
    vault: GalleryService, open_gallery: Open, key: KeyFile, tmp_path: Path
) -> None:
    gone = stored(vault)[2:4] + stored(vault, "vault_keys", "key")[1:2]
    copy = tmp_path / "copy.db"
    backup(vault.store.directory / "gallery.db", copy)
    vault.erase_subject("me", "people", "bert")
    vault.close()
    restore(copy, vault.store.directory, key)
    again = open_gallery(keys=key)
    assert kept(again, "anna") == [picture(0), picture(1)]
    assert residue(again, gone) == []


def test_restarted_while_the_vault_was_being_emptied(
    vault: GalleryService, open_gallery: Open, key: KeyFile
) -> None:
    """A crash between the two steps: what is left is erased at the start."""
    gone = stored(vault)
    vault.close()
    with closing(sqlite3.connect(vault.store.directory / "gallery.db")) as database, database:
        database.execute("UPDATE galleries SET policy = replace(policy, ':true', ':false')")
        database.execute("DELETE FROM vault_keys")
    again = open_gallery(keys=key)
    assert not again.gallery("me", "people").spec.policy.vault
    assert residue(again, gone) == []
