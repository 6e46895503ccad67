"""Faces: stored, listed, read back for the index, erased."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import cast

from app.domain import Box
from app.errors import EnrolledFaceNotFoundError, LimitReachedError
from app.gallery.rows import moves, vault
from app.gallery.rows.common import new_uid, now
from app.gallery.sealing import Seal
from app.gallery.types import Gallery, NewFace, StoredFace, Subject

_COLUMNS = "id, uid, subject_id, norm, quality, box, source, created_at"
READ_ROWS = 8192


@dataclass(frozen=True, slots=True)
class PackedFace:
    """A face ready to be stored: its feature's bytes, its norm measured before packing."""

    face: NewFace
    norm: float
    feature: bytes


def insert(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject, packed: Sequence[PackedFace]
) -> list[StoredFace]:
    """Raises LimitReachedError where the gallery or the subject would hold too many."""
    limits = gallery.spec.limits
    _within(gallery.faces + len(packed), limits.faces, "faces")
    _within(subject.faces + len(packed), limits.faces_per_subject, "faces_per_subject")
    at = now()
    return [_insert(connection, gallery, subject, one, at) for one in packed]


def _within(wanted: int, limit: int, name: str) -> None:
    if wanted > limit:
        raise LimitReachedError(
            f"{wanted} {name.replace('_', ' ')} would pass the gallery's limit of {limit}",
            limit=name,
            value=limit,
        )


def _insert(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject, one: PackedFace, at: int
) -> StoredFace:
    face = one.face
    uid = new_uid()
    cursor = connection.execute(
        "INSERT INTO faces (owner, gallery_id, subject_id, uid, norm, quality, box, source,"
        " created_at, feature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            gallery.owner,
            gallery.id,
            subject.id,
            uid,
            one.norm,
            face.quality,
            None if face.box is None else json.dumps(astuple(face.box)),
            sealed_photo(gallery.seal, uid, face.source),
            at if face.created_at is None else face.created_at,
            sealed_feature(gallery.seal, subject.uid, uid, one.feature),
        ),
    )
    id_ = cast(int, cursor.lastrowid)
    if gallery.spec.policy.vault and face.keepsake is not None:
        vault.put(connection, gallery, subject, (id_, uid), face.keepsake)
    return StoredFace(
        id=id_,
        uid=uid,
        subject_id=subject.id,
        norm=one.norm,
        quality=face.quality,
        box=face.box,
        source=face.source,
        created_at=at if face.created_at is None else face.created_at,
    )


def of_subject(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject
) -> list[StoredFace]:
    """All faces of a subject, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM faces WHERE owner = ? AND subject_id = ? ORDER BY id",  # noqa: S608
        (gallery.owner, subject.id),
    )
    return [_face(gallery, row) for row in rows]


def ids_of_subjects(
    connection: sqlite3.Connection, gallery: Gallery, subject_ids: Sequence[int]
) -> list[int]:
    """Ids of all faces of these subjects."""
    statement = "SELECT id FROM faces WHERE owner = ? AND subject_id = ?"
    return [
        row[0]
        for subject_id in subject_ids
        for row in connection.execute(statement, (gallery.owner, subject_id))
    ]


def get(connection: sqlite3.Connection, gallery: Gallery, subject: Subject, uid: str) -> StoredFace:
    """Raises EnrolledFaceNotFoundError where the subject has no such face."""
    found = find(connection, gallery, uid)
    if found is None or found.subject_id != subject.id:
        raise EnrolledFaceNotFoundError("this subject has no such face")
    return found


def find(connection: sqlite3.Connection, gallery: Gallery, uid: str) -> StoredFace | None:
    """A face of the gallery, whichever subject's."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM faces WHERE owner = ? AND gallery_id = ? AND uid = ?",  # noqa: S608
        (gallery.owner, gallery.id, uid),
    ).fetchone()
    return None if row is None else _face(gallery, row)


def place(connection: sqlite3.Connection, uid: str) -> tuple[str, str, str] | None:
    """(owner, gallery, subject key) of a face by its uid, whoever's it is."""
    row: tuple[str, str, str] | None = connection.execute(
        "SELECT f.owner, g.name, s.key FROM faces f"
        " JOIN galleries g ON g.id = f.gallery_id AND g.owner = f.owner"
        " JOIN subjects s ON s.id = f.subject_id AND s.owner = f.owner WHERE f.uid = ?",
        (uid,),
    ).fetchone()
    return row


def by_ids(
    connection: sqlite3.Connection, gallery: Gallery, ids: Sequence[int]
) -> dict[int, StoredFace]:
    """Those of the ids that exist."""
    # One statement for all: each would let other threads have the interpreter, and wait for it.
    # By rowid: the planner would rather read through the gallery's index.
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM faces NOT INDEXED WHERE owner = ? AND gallery_id = ?"  # noqa: S608
        " AND id IN (SELECT value FROM json_each(?))",
        (gallery.owner, gallery.id, json.dumps(list(ids))),
    )
    return {one.id: one for one in (_face(gallery, row) for row in rows)}


def features(connection: sqlite3.Connection, gallery: Gallery, subject_id: int) -> list[bytes]:
    """The stored features of a subject, oldest first."""
    rows = connection.execute(
        "SELECT f.uid, s.uid, f.feature FROM faces f JOIN subjects s"
        " ON s.id = f.subject_id AND s.owner = f.owner"
        " WHERE f.owner = ? AND f.gallery_id = ? AND f.subject_id = ? ORDER BY f.id",
        (gallery.owner, gallery.id, subject_id),
    )
    return [_feature(gallery, *row) for row in rows]


def feature(connection: sqlite3.Connection, gallery: Gallery, face: StoredFace) -> bytes:
    """The stored feature of one face."""
    row = connection.execute(
        "SELECT f.uid, s.uid, f.feature FROM faces f JOIN subjects s"
        " ON s.id = f.subject_id AND s.owner = f.owner"
        " WHERE f.owner = ? AND f.id = ?",
        (gallery.owner, face.id),
    ).fetchone()
    return _feature(gallery, *row)


def read_after(
    connection: sqlite3.Connection, gallery: Gallery, after: int
) -> Iterator[list[tuple[int, int, bytes]]]:
    """(face id, subject id, feature) of the whole gallery in order of id, some thousand a time."""
    cursor = connection.execute(
        "SELECT f.id, f.subject_id, f.uid, s.uid, f.feature"
        " FROM faces f INDEXED BY faces_by_gallery JOIN subjects s"
        " ON s.id = f.subject_id AND s.owner = f.owner"
        " WHERE f.owner = ? AND f.gallery_id = ? AND f.id > ? ORDER BY f.id",
        (gallery.owner, gallery.id, after),
    )
    while rows := cursor.fetchmany(READ_ROWS):
        yield [(id_, subject_id, _feature(gallery, *rest)) for id_, subject_id, *rest in rows]


def has_source(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject, source: bytes
) -> bool:
    """Whether the subject has a face from this very photo."""
    rows = connection.execute(
        "SELECT uid, source FROM faces WHERE owner = ? AND subject_id = ? AND source IS NOT NULL",
        (gallery.owner, subject.id),
    )
    return any(_photo(gallery, uid, stored) == source for uid, stored in rows)


def delete(connection: sqlite3.Connection, gallery: Gallery, ids: Sequence[int]) -> None:
    """Removes faces, and notes that snapshot files may still hold them."""
    delete_unnoted(connection, gallery, ids)
    connection.executemany(
        "INSERT INTO purges (face_id, gallery_uid) VALUES (?, ?)",
        [(id_, gallery.uid) for id_ in ids],
    )


def delete_unnoted(connection: sqlite3.Connection, gallery: Gallery, ids: Sequence[int]) -> None:
    """Removes faces of a gallery that has no snapshot files any more."""
    vault.delete(connection, gallery, ids)
    moves.forget_faces(connection, gallery, ids)
    connection.executemany(
        "DELETE FROM faces WHERE owner = ? AND id = ?", [(gallery.owner, id_) for id_ in ids]
    )


def sealed_feature(seal: Seal | None, subject_uid: str, uid: str, feature: bytes) -> bytes:
    """A feature as it is stored: bound to its subject and face."""
    return feature if seal is None else seal.close(feature, "face", subject_uid, uid)


def sealed_photo(seal: Seal | None, uid: str, source: bytes | None) -> bytes | None:
    """A photo's hash as it is stored: who has the photo cannot look for it."""
    return source if seal is None or source is None else seal.close(source, "photo", uid)


def _feature(gallery: Gallery, uid: str, subject_uid: str, stored: bytes) -> bytes:
    if gallery.seal is None:
        return stored
    return gallery.seal.open(stored, "face", subject_uid, uid)


def _photo(gallery: Gallery, uid: str, stored: bytes) -> bytes:
    return stored if gallery.seal is None else gallery.seal.open(stored, "photo", uid)


def _face(gallery: Gallery, row: tuple[object, ...]) -> StoredFace:
    id_, uid, subject_id, norm, quality, box, stored, created_at = row
    source = None if stored is None else _photo(gallery, cast(str, uid), cast(bytes, stored))
    return StoredFace(
        id=cast(int, id_),
        uid=cast(str, uid),
        subject_id=cast(int, subject_id),
        norm=cast(float, norm),
        quality=cast(float | None, quality),
        box=None if box is None else Box(*json.loads(cast(str, box))),
        source=source,
        created_at=cast(int, created_at),
    )
