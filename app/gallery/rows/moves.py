"""A gallery on its way from one recogniser to another, and its faces' features on the other side.

The other side is the one to move to before the cut-over, and the one that was left after it.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from app.errors import MoveNotFoundError
from app.gallery.rows import galleries
from app.gallery.rows.common import now
from app.gallery.sealing import Seal
from app.gallery.types import Gallery


@dataclass(frozen=True, slots=True)
class Move:
    """`contract_id` and `dim` of the other side; `moved` once the gallery has been cut over."""

    contract_id: str
    dim: int
    moved: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A face without a feature on the other side."""

    id: int
    uid: str
    subject: str
    kept: bool
    """Whether the vault has what it takes to compute one."""


@dataclass(frozen=True, slots=True)
class Other:
    """A face's feature on the other side, as its bytes are stored unsealed."""

    face_id: int
    norm: float
    quality: float | None
    feature: bytes = field(repr=False)


def begin(connection: sqlite3.Connection, gallery: Gallery, contract_id: str, dim: int) -> Move:
    connection.execute(
        "INSERT INTO moves (gallery_id, owner, contract_id, dim, moved, created_at)"
        " VALUES (?, ?, ?, ?, 0, ?)",
        (gallery.id, gallery.owner, contract_id, dim, now()),
    )
    return get(connection, gallery)


def get(connection: sqlite3.Connection, gallery: Gallery) -> Move:
    """Raises MoveNotFoundError."""
    found = find(connection, gallery)
    if found is None:
        raise MoveNotFoundError("this gallery is not being moved to another recogniser")
    return found


def find(connection: sqlite3.Connection, gallery: Gallery) -> Move | None:
    row = connection.execute(
        "SELECT contract_id, dim, moved, created_at FROM moves WHERE owner = ? AND gallery_id = ?",
        (gallery.owner, gallery.id),
    ).fetchone()
    return None if row is None else Move(row[0], row[1], bool(row[2]), row[3])


def waiting(
    connection: sqlite3.Connection, gallery: Gallery, kept: bool, limit: int
) -> list[Waiting]:
    """Faces without a feature on the other side, those with a keepsake or those without."""
    rows = connection.execute(
        "SELECT f.id, f.uid, s.key FROM faces f"
        " JOIN subjects s ON s.id = f.subject_id AND s.owner = f.owner"
        " LEFT JOIN other_features o ON o.face_id = f.id AND o.owner = f.owner"
        " LEFT JOIN vault v ON v.face_id = f.id AND v.owner = f.owner"
        " WHERE f.owner = ? AND f.gallery_id = ? AND o.face_id IS NULL"
        " AND (v.face_id IS NOT NULL) = ? ORDER BY f.id LIMIT ?",
        (gallery.owner, gallery.id, kept, limit),
    )
    return [Waiting(id_, uid, subject, kept) for id_, uid, subject in rows]


def count(connection: sqlite3.Connection, gallery: Gallery) -> tuple[int, int]:
    """How many faces have a feature on the other side, and how many have neither that nor a
    keepsake."""
    row = connection.execute(
        "SELECT count(o.face_id), sum(o.face_id IS NULL AND v.face_id IS NULL) FROM faces f"
        " LEFT JOIN other_features o ON o.face_id = f.id AND o.owner = f.owner"
        " LEFT JOIN vault v ON v.face_id = f.id AND v.owner = f.owner"
        " WHERE f.owner = ? AND f.gallery_id = ?",
        (gallery.owner, gallery.id),
    ).fetchone()
    return int(row[0]), int(row[1] or 0)


def sample(
    connection: sqlite3.Connection, gallery: Gallery, move: Move, people: int, most: int
) -> list[tuple[int, bytes, bytes]]:
    """(subject id, feature here, feature there) of the faces of some people, drawn by their ids:
    the same ones each time."""
    rows = connection.execute(
        "SELECT s.id, s.uid, f.uid, f.feature, o.feature FROM faces f"
        " JOIN subjects s ON s.id = f.subject_id AND s.owner = f.owner"
        " JOIN other_features o ON o.face_id = f.id AND o.owner = f.owner"
        " WHERE f.owner = ? AND f.gallery_id = ? AND f.subject_id IN"
        " (SELECT id FROM subjects WHERE owner = ? AND gallery_id = ?"
        " ORDER BY (id * 2654435761) % 4294967296 LIMIT ?) LIMIT ?",
        (gallery.owner, gallery.id, gallery.owner, gallery.id, people, most),
    )
    opened = _seal(gallery).open
    return [
        (
            id_,
            opened(here, "face", subject_uid, uid),
            opened(there, "other feature", move.contract_id, uid),
        )
        for id_, subject_uid, uid, here, there in rows
    ]


def put(connection: sqlite3.Connection, gallery: Gallery, move: Move, one: Other) -> None:
    """Nothing where the face has been erased meanwhile."""
    row = connection.execute(
        "SELECT uid FROM faces WHERE owner = ? AND gallery_id = ? AND id = ?",
        (gallery.owner, gallery.id, one.face_id),
    ).fetchone()
    if row is None:
        return
    sealed = _seal(gallery).close(one.feature, "other feature", move.contract_id, row[0])
    connection.execute(
        "INSERT OR REPLACE INTO other_features"
        " (face_id, owner, gallery_id, norm, quality, feature) VALUES (?, ?, ?, ?, ?, ?)",
        (one.face_id, gallery.owner, gallery.id, one.norm, one.quality, sealed),
    )


def exchange(
    connection: sqlite3.Connection, gallery: Gallery, move: Move, after: int, limit: int
) -> list[tuple[int, int, bytes]]:
    """Some faces, those behind the id `after`: the other side's feature becomes the face's, and
    the face's the other side's. Their ids, subjects and features.

    Few, long statements: after each row of a result or an update the interpreter goes round.
    """
    rows = connection.execute(
        "SELECT f.id, s.id, s.uid, f.uid, f.norm, f.quality, f.feature, o.norm, o.quality,"
        " o.feature FROM other_features o JOIN faces f ON f.id = o.face_id AND f.owner = o.owner"
        " JOIN subjects s ON s.id = f.subject_id AND s.owner = f.owner"
        " WHERE o.owner = ? AND o.gallery_id = ? AND o.face_id > ? ORDER BY o.face_id LIMIT ?",
        (gallery.owner, gallery.id, after, limit),
    ).fetchall()
    seal, here = _seal(gallery), gallery.spec.contract_id
    exchanged, left, entered = [], [], []
    for id_, subject_id, subject_uid, uid, norm, quality, old, new_norm, new_quality, new in rows:
        before = seal.open(old, "face", subject_uid, uid)
        feature = seal.open(new, "other feature", move.contract_id, uid)
        sealed = seal.close(feature, "face", subject_uid, uid)
        entered.append((id_, new_norm, new_quality, sealed))
        left.append((id_, norm, quality, seal.close(before, "other feature", here, uid)))
        exchanged.append((id_, subject_id, feature))
    if rows:
        values = ", ".join(["(?, ?, ?, ?)"] * len(rows))
        connection.execute(
            "UPDATE faces SET norm = n.column2, quality = n.column3, feature = n.column4"  # noqa: S608
            f" FROM (VALUES {values}) AS n WHERE faces.owner = ? AND faces.id = n.column1",
            [*chain(*entered), gallery.owner],
        )
        connection.execute(
            "UPDATE other_features SET norm = n.column2, quality = n.column3, feature = n.column4"  # noqa: S608
            f" FROM (VALUES {values}) AS n"
            " WHERE other_features.owner = ? AND other_features.face_id = n.column1",
            [*chain(*left), gallery.owner],
        )
    return exchanged


def turn(connection: sqlite3.Connection, gallery: Gallery, move: Move) -> None:
    """The gallery is of the other side's contract, and what is left is the other side."""
    galleries.respace(connection, gallery, move.contract_id, move.dim)
    connection.execute(
        "UPDATE moves SET contract_id = ?, dim = ?, moved = ? WHERE owner = ? AND gallery_id = ?",
        (gallery.spec.contract_id, gallery.spec.dim, not move.moved, gallery.owner, gallery.id),
    )
    connection.execute(  # measured in the space that is left
        "DELETE FROM gallery_health WHERE owner = ? AND gallery_id = ?", (gallery.owner, gallery.id)
    )


def end(connection: sqlite3.Connection, gallery: Gallery) -> None:
    """Forgets the move; its features are the caller's to erase first."""
    connection.execute(
        "DELETE FROM moves WHERE owner = ? AND gallery_id = ?", (gallery.owner, gallery.id)
    )


def erase_some(connection: sqlite3.Connection, gallery: Gallery, limit: int) -> bool:
    """Erases up to `limit` features of the other side; whether any was left."""
    cursor = connection.execute(
        "DELETE FROM other_features WHERE owner = ? AND face_id IN"
        " (SELECT face_id FROM other_features WHERE owner = ? AND gallery_id = ? LIMIT ?)",
        (gallery.owner, gallery.owner, gallery.id, limit),
    )
    return cursor.rowcount > 0


def has_unfinished_job(connection: sqlite3.Connection, gallery: Gallery) -> bool:
    """An import that has begun in one space must not end in another."""
    row = connection.execute(
        "SELECT 1 FROM jobs WHERE owner = ? AND gallery_id = ? AND finished_at IS NULL",
        (gallery.owner, gallery.id),
    ).fetchone()
    return row is not None


def forget_faces(connection: sqlite3.Connection, gallery: Gallery, ids: Sequence[int]) -> None:
    """What erased faces have on the other side."""
    connection.executemany(
        "DELETE FROM other_features WHERE owner = ? AND face_id = ?",
        [(gallery.owner, id_) for id_ in ids],
    )


def _seal(gallery: Gallery) -> Seal:
    assert gallery.seal is not None  # noqa: S101 - no vault, and so no move, without encryption
    return gallery.seal
