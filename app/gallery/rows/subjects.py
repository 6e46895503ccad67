"""Subjects: upserted, listed, filtered, erased."""

import sqlite3
from collections.abc import Sequence
from typing import cast

from app.errors import LimitReachedError, SubjectNotFoundError
from app.gallery.rows import galleries
from app.gallery.rows.common import from_json, new_uid, now, to_json
from app.gallery.types import Filter, Gallery, Json, Subject, SubjectSpec

_COLUMNS = (
    "id, uid, key, name, metadata, tags, consent_ref, expires_at, faces, version, created_at,"
    " updated_at"
)


def get(connection: sqlite3.Connection, gallery: Gallery, key: str) -> Subject:
    """Raises SubjectNotFoundError."""
    found = find(connection, gallery, key)
    if found is None:
        raise SubjectNotFoundError(f"there is no subject {key!r} in {gallery.name!r}")
    return found


def find(connection: sqlite3.Connection, gallery: Gallery, key: str) -> Subject | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM subjects WHERE owner = ? AND gallery_id = ? AND key = ?",  # noqa: S608
        (gallery.owner, gallery.id, key),
    ).fetchone()
    return None if row is None else _subject(row)


def by_ids(
    connection: sqlite3.Connection, gallery: Gallery, ids: Sequence[int]
) -> dict[int, Subject]:
    """Those of the ids that exist."""
    found: dict[int, Subject] = {}
    for id_ in ids:
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM subjects WHERE owner = ? AND gallery_id = ? AND id = ?",  # noqa: S608
            (gallery.owner, gallery.id, id_),
        ).fetchone()
        if row is not None:
            found[id_] = _subject(row)
    return found


def page(connection: sqlite3.Connection, gallery: Gallery, after: str, limit: int) -> list[Subject]:
    """Subjects by key, those after `after`: stable while others come and go."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM subjects WHERE owner = ? AND gallery_id = ? AND key > ?"  # noqa: S608
        " ORDER BY key LIMIT ?",
        (gallery.owner, gallery.id, after, limit),
    )
    return [_subject(row) for row in rows]


def insert(
    connection: sqlite3.Connection, gallery: Gallery, key: str, spec: SubjectSpec
) -> Subject:
    """A new subject, counted. Raises LimitReachedError where the gallery is full."""
    if gallery.subjects >= gallery.spec.limits.subjects:
        raise LimitReachedError(
            f"{gallery.name!r} holds its limit of {gallery.spec.limits.subjects} subjects",
            limit="subjects",
            value=gallery.spec.limits.subjects,
        )
    at = now()
    row = connection.execute(
        "INSERT INTO subjects (owner, gallery_id, key, uid, name, metadata, tags, consent_ref,"  # noqa: S608
        " expires_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        f" RETURNING {_COLUMNS}",
        (gallery.owner, gallery.id, key, new_uid(), *_values(spec), at, at),
    ).fetchone()
    subject = _subject(row)
    _index_terms(connection, gallery, subject)
    galleries.count(connection, gallery, subjects=1, faces=0, id_sum=0)
    return subject


def update(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject, spec: SubjectSpec
) -> Subject:
    """The same subject with everything that a caller says about it replaced."""
    row = connection.execute(
        "UPDATE subjects SET name = ?, metadata = ?, tags = ?, consent_ref = ?, expires_at = ?,"  # noqa: S608
        " version = version + 1, updated_at = ? WHERE owner = ? AND id = ?"
        f" RETURNING {_COLUMNS}",
        (*_values(spec), now(), gallery.owner, subject.id),
    ).fetchone()
    connection.execute(
        "DELETE FROM terms WHERE owner = ? AND subject_id = ?", (gallery.owner, subject.id)
    )
    updated = _subject(row)
    _index_terms(connection, gallery, updated)
    galleries.count(connection, gallery, subjects=0, faces=0, id_sum=0)
    return updated


def count_faces(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject, difference: int
) -> None:
    connection.execute(
        "UPDATE subjects SET faces = faces + ?, version = version + 1 WHERE owner = ? AND id = ?",
        (difference, gallery.owner, subject.id),
    )


def delete(connection: sqlite3.Connection, gallery: Gallery, subject: Subject) -> None:
    """The subject's row and terms; its faces are the caller's to erase first."""
    connection.execute(
        "DELETE FROM terms WHERE owner = ? AND subject_id = ?", (gallery.owner, subject.id)
    )
    connection.execute(
        "DELETE FROM subjects WHERE owner = ? AND id = ?", (gallery.owner, subject.id)
    )


def matching(connection: sqlite3.Connection, gallery: Gallery, wanted: Filter) -> list[int]:
    """Ids of the subjects that carry every term of the filter, ascending."""
    terms = _terms(wanted.tags, dict(wanted.metadata))
    each = "SELECT subject_id FROM terms WHERE owner = ? AND gallery_id = ? AND term = ?"
    rows = connection.execute(
        " INTERSECT ".join([each] * len(terms)) + " ORDER BY 1",
        [value for term in terms for value in (gallery.owner, gallery.id, term)],
    )
    return [row[0] for row in rows]


def expired(connection: sqlite3.Connection, at: int, limit: int) -> list[tuple[str, str, str]]:
    """(owner, gallery, subject key) of subjects whose time is over, every owner's."""
    return connection.execute(
        "SELECT s.owner, g.name, s.key FROM subjects s"
        " JOIN galleries g ON g.id = s.gallery_id AND g.owner = s.owner"
        " WHERE s.expires_at <= ? ORDER BY s.expires_at LIMIT ?",
        (at, limit),
    ).fetchall()


def place(connection: sqlite3.Connection, uid: str) -> tuple[str, str, str] | None:
    """(owner, gallery, subject key) of a subject by its uid, whoever's it is."""
    row: tuple[str, str, str] | None = connection.execute(
        "SELECT s.owner, g.name, s.key FROM subjects s"
        " JOIN galleries g ON g.id = s.gallery_id AND g.owner = s.owner WHERE s.uid = ?",
        (uid,),
    ).fetchone()
    return row


def _index_terms(connection: sqlite3.Connection, gallery: Gallery, subject: Subject) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO terms (owner, gallery_id, term, subject_id) VALUES (?, ?, ?, ?)",
        [
            (gallery.owner, gallery.id, term, subject.id)
            for term in _terms(subject.spec.tags, dict(subject.spec.metadata))
        ],
    )


def _terms(tags: Sequence[str], metadata: dict[str, Json]) -> list[str]:
    """Scalars only: a filter compares values, it does not look into lists and objects."""
    scalars = {k: v for k, v in metadata.items() if not isinstance(v, list | dict)}
    return [f"tag:{tag}" for tag in tags] + [f"meta:{k}={to_json(v)}" for k, v in scalars.items()]


def _values(spec: SubjectSpec) -> tuple[object, ...]:
    return (
        spec.name,
        to_json(dict(spec.metadata)),
        to_json(list(spec.tags)),
        spec.consent_ref,
        spec.expires_at,
    )


def _subject(row: tuple[object, ...]) -> Subject:
    (id_, uid, key, name, metadata, tags, consent_ref, expires_at, *rest) = row
    faces, version, created_at, updated_at = cast(list[int], rest)
    spec = SubjectSpec(
        name=cast(str | None, name),
        metadata=cast(dict[str, Json], from_json(cast(str, metadata))),
        tags=tuple(cast(list[str], from_json(cast(str, tags)))),
        consent_ref=cast(str | None, consent_ref),
        expires_at=cast(int | None, expires_at),
    )
    return Subject(
        id=cast(int, id_),
        uid=cast(str, uid),
        key=cast(str, key),
        spec=spec,
        faces=faces,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
    )
