"""The vault: what of a photo is kept where a gallery's terms say so, sealed by its subject's key.

The key is random, sealed by the gallery's data key, and goes with the subject: what a disk may
still hold of its keepsakes then opens with nothing that is left.
"""

import os
import sqlite3
from collections.abc import Sequence
from typing import cast

from app.gallery.sealing import Seal
from app.gallery.types import Gallery, Subject
from app.security.cipher import KEY_BYTES, DataKey


def put(
    connection: sqlite3.Connection,
    gallery: Gallery,
    subject: Subject,
    face: tuple[int, str],
    keepsake: bytes,
) -> None:
    """Keeps what belongs to a face, (id, uid), of the subject."""
    id_, uid = face
    seal = _subject_seal(connection, gallery, subject) or _new_seal(connection, gallery, subject)
    connection.execute(
        "INSERT INTO vault (face_id, owner, gallery_id, subject_id, keepsake)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            id_,
            gallery.owner,
            gallery.id,
            subject.id,
            seal.close(keepsake, "keepsake", subject.uid, uid),
        ),
    )


def of_subject(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject
) -> dict[int, bytes]:
    """Face id → keepsake, of those faces that have one. Raises GalleryCorruptError."""
    seal = _subject_seal(connection, gallery, subject)
    if seal is None:
        return {}
    rows = connection.execute(
        "SELECT v.face_id, f.uid, v.keepsake FROM vault v"
        " JOIN faces f ON f.id = v.face_id AND f.owner = v.owner"
        " WHERE v.owner = ? AND v.subject_id = ? ORDER BY v.face_id",
        (gallery.owner, subject.id),
    )
    return {id_: seal.open(stored, "keepsake", subject.uid, uid) for id_, uid, stored in rows}


def of_face(connection: sqlite3.Connection, gallery: Gallery, face_id: int) -> bytes | None:
    """None where there is none, or the face is gone. Raises GalleryCorruptError."""
    row = connection.execute(
        "SELECT f.uid, s.uid, k.key, v.keepsake FROM vault v"
        " JOIN vault_keys k ON k.subject_id = v.subject_id AND k.owner = v.owner"
        " JOIN faces f ON f.id = v.face_id AND f.owner = v.owner"
        " JOIN subjects s ON s.id = v.subject_id AND s.owner = v.owner"
        " WHERE v.owner = ? AND v.gallery_id = ? AND v.face_id = ?",
        (gallery.owner, gallery.id, face_id),
    ).fetchone()
    if row is None:
        return None
    uid, subject_uid, key, stored = row
    seal = _gallery_seal(gallery)
    own = Seal(DataKey(seal.open(key, "vault key", subject_uid)), seal.place)
    return own.open(stored, "keepsake", subject_uid, uid)


def delete(connection: sqlite3.Connection, gallery: Gallery, face_ids: Sequence[int]) -> None:
    connection.executemany(
        "DELETE FROM vault WHERE owner = ? AND face_id = ?",
        [(gallery.owner, face_id) for face_id in face_ids],
    )


def destroy_key(connection: sqlite3.Connection, gallery: Gallery, subject: Subject) -> None:
    """Its keepsakes are the caller's to erase first."""
    connection.execute(
        "DELETE FROM vault_keys WHERE owner = ? AND subject_id = ?", (gallery.owner, subject.id)
    )


def lock_for_ever(connection: sqlite3.Connection, gallery: Gallery) -> None:
    """Destroys every subject's key; `erase_some` removes what no longer opens."""
    connection.execute(
        "DELETE FROM vault_keys WHERE owner = ? AND gallery_id = ?", (gallery.owner, gallery.id)
    )


def holds(connection: sqlite3.Connection, gallery: Gallery) -> bool:
    """Whether anything is kept for the gallery, readable or not."""
    row = connection.execute(
        "SELECT 1 FROM vault WHERE owner = ? AND gallery_id = ? LIMIT 1",
        (gallery.owner, gallery.id),
    ).fetchone()
    return row is not None


def erase_some(connection: sqlite3.Connection, gallery: Gallery, limit: int) -> bool:
    """Erases up to `limit` of a gallery's keepsakes; whether any was left."""
    cursor = connection.execute(
        "DELETE FROM vault WHERE owner = ? AND face_id IN"
        " (SELECT face_id FROM vault WHERE owner = ? AND gallery_id = ? LIMIT ?)",
        (gallery.owner, gallery.owner, gallery.id, limit),
    )
    return cursor.rowcount > 0


def _subject_seal(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject
) -> Seal | None:
    row = connection.execute(
        "SELECT key FROM vault_keys WHERE owner = ? AND subject_id = ?",
        (gallery.owner, subject.id),
    ).fetchone()
    if row is None:
        return None
    seal = _gallery_seal(gallery)
    secret = seal.open(cast(bytes, row[0]), "vault key", subject.uid)
    return Seal(DataKey(secret), seal.place)


def _new_seal(connection: sqlite3.Connection, gallery: Gallery, subject: Subject) -> Seal:
    seal = _gallery_seal(gallery)
    secret = os.urandom(KEY_BYTES)
    connection.execute(
        "INSERT INTO vault_keys (subject_id, owner, gallery_id, key) VALUES (?, ?, ?, ?)",
        (subject.id, gallery.owner, gallery.id, seal.close(secret, "vault key", subject.uid)),
    )
    return Seal(DataKey(secret), seal.place)


def _gallery_seal(gallery: Gallery) -> Seal:
    assert gallery.seal is not None  # noqa: S101 - no vault without encryption
    return gallery.seal
