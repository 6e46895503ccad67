"""Encrypts a database that was not: into a new file, put in the old one's place, which is wiped.

A crash leaves the old database or the new one. Nothing legible is ever written to the new file.
"""

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from app.errors import StartError
from app.gallery.failpoints import Failpoints
from app.gallery.files import shred, sync_directory
from app.gallery.rows import faces, subjects
from app.gallery.rows.subjects import Said
from app.gallery.schema import MIGRATIONS, migrate
from app.gallery.sealing import Seal, Seals

_log = logging.getLogger("norma.gallery")

# Where a column is not copied as it is: what it becomes. `seal_…` are _Sealer's functions.
_COPIED = {
    ("galleries", "data_key"): "data_key(id)",
    ("subjects", "name"): "NULL",
    ("subjects", "metadata"): "'{}'",
    ("subjects", "tags"): "'[]'",
    ("subjects", "consent_ref"): "NULL",
    ("subjects", "sealed"): "seal_subject(gallery_id, uid, key, name, metadata, tags, consent_ref)",
    ("jobs", "secret"): "seal_spool(gallery_id, uid, secret)",
    ("terms", "term"): "blind_term(gallery_id, term)",
    ("faces", "source"): "seal_photo(gallery_id, uid, source)",
    ("faces", "feature"): "seal_face(gallery_id,"
    " (SELECT uid FROM old.subjects WHERE id = subject_id), uid, feature)",
}
_LEFT_OUT = ("idempotency",)
"""Its digests say something about faces; requests of the last day may be repeated once."""


def encrypt(path: Path, seals: Seals, failpoints: Failpoints) -> None:
    """The database must be closed and its write-ahead log empty. Raises StartError."""
    _log.warning("encrypting the galleries in %s", path)
    fresh = _fresh(path)
    with closing(sqlite3.connect(fresh, isolation_level=None, uri=True)) as target:
        target.execute("PRAGMA page_size=8192")
        target.execute("PRAGMA journal_mode=OFF")
        target.execute("PRAGMA synchronous=OFF")
        target.execute("PRAGMA temp_store=MEMORY")
        migrate(target, MIGRATIONS)
        target.execute("ATTACH ? AS old", (f"{path.resolve().as_uri()}?immutable=1",))
        _Sealer(target, seals).install()
        target.execute("BEGIN")
        for table in _tables(target):
            _copy(target, table)
        target.execute("DELETE FROM meta WHERE name = 'epoch'")  # no index file fits any more
        assert seals.keys is not None  # noqa: S101 - who encrypts has keys
        target.execute("INSERT INTO meta VALUES ('master_key', ?)", (seals.keys.current,))
        target.execute("COMMIT")
    _sync(fresh)
    failpoints.point("encrypt_copied")
    _put_in_place(path, fresh, failpoints)
    _log.warning("the galleries in %s are encrypted", path)


def clean_up(path: Path) -> None:
    """What a crash has left: a half copy, or the old database beside the new one."""
    _fresh(path).unlink(missing_ok=True)
    old = _old(path)
    if not old.exists():
        return
    if old.samefile(path):  # not replaced yet: only a second name
        old.unlink()
    else:
        shred(old)


def _put_in_place(path: Path, fresh: Path, failpoints: Failpoints) -> None:
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size:  # it would be applied to the new file
        raise StartError(f"{wal} is in use by another program")
    for leftover in (wal, path.with_name(path.name + "-shm")):
        leftover.unlink(missing_ok=True)
    os.link(path, _old(path))
    failpoints.point("encrypt_linked")
    fresh.replace(path)
    sync_directory(path.parent)
    failpoints.point("encrypt_replaced")
    for segment in path.parent.glob("index/*/*"):
        shred(segment)
    shred(_old(path))


def _tables(target: sqlite3.Connection) -> list[str]:
    """All, with `sqlite_sequence`, so that no id is given twice."""
    rows = target.execute(
        "SELECT name FROM old.sqlite_master WHERE type = 'table' ORDER BY name = 'sqlite_sequence'"
    )
    return [name for (name,) in rows if name not in _LEFT_OUT]


def _copy(target: sqlite3.Connection, table: str) -> None:
    columns = [row[1] for row in target.execute(f"PRAGMA main.table_info({table})")]
    values = ", ".join(_COPIED.get((table, column), column) for column in columns)
    target.execute(f"DELETE FROM main.{table}")  # noqa: S608 - names of our own schema
    target.execute(
        f"INSERT INTO main.{table} ({', '.join(columns)}) SELECT {values} FROM old.{table}"  # noqa: S608
    )


class _Sealer:
    """SQL functions that seal a row's columns for its gallery."""

    def __init__(self, target: sqlite3.Connection, seals: Seals) -> None:
        self._target = target
        self._keys: dict[int, bytes] = {}
        self._seals: dict[int, Seal] = {}
        rows = target.execute("SELECT id, owner, uid, contract_id FROM old.galleries").fetchall()
        for id_, owner, uid, contract_id in rows:
            wrapped = seals.new_key(owner, uid, contract_id)
            seal = seals.of(owner, uid, contract_id, wrapped)
            assert wrapped is not None  # noqa: S101 - who encrypts has keys
            assert seal is not None  # noqa: S101
            self._keys[id_], self._seals[id_] = wrapped, seal

    def install(self) -> None:
        define = self._target.create_function
        define("data_key", 1, self._keys.__getitem__)
        define("seal_subject", 7, self._subject)
        define("blind_term", 2, lambda id_, term: subjects.blinded(self._seals[id_], term))
        define("seal_photo", 3, self._photo)
        define("seal_face", 4, self._face)
        define("seal_spool", 3, self._spool)

    def _subject(self, gallery: int, uid: str, key: str, *said: str | None) -> bytes | None:
        name, metadata, tags, consent_ref = said
        assert metadata is not None  # noqa: S101 - NOT NULL
        assert tags is not None  # noqa: S101
        whole: Said = (name, metadata, tags, consent_ref)
        return subjects.sealed(self._seals[gallery], uid, key, whole)[-1]

    def _photo(self, gallery: int, uid: str, source: bytes | None) -> bytes | None:
        return faces.sealed_photo(self._seals[gallery], uid, source)

    def _spool(self, gallery: int, uid: str, secret: bytes | None) -> bytes | None:
        seal = self._seals.get(gallery)  # a job may outlive its gallery
        return None if secret is None or seal is None else seal.close(secret, "spool", uid)

    def _face(self, gallery: int, subject_uid: str, uid: str, feature: bytes) -> bytes:
        return faces.sealed_feature(self._seals[gallery], subject_uid, uid, feature)


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".encrypting")


def _old(path: Path) -> Path:
    return path.with_name(path.name + ".plain")


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
