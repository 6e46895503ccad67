"""Subjects: upserted, listed, filtered, erased."""

import json
import sqlite3
from collections.abc import Sequence
from typing import cast

from app.errors import LimitReachedError, SubjectNotFoundError
from app.gallery.rows import galleries, vault
from app.gallery.rows.common import from_json, new_uid, now, to_json
from app.gallery.sealing import Seal
from app.gallery.types import Filter, Gallery, Json, Subject, SubjectSpec

_COLUMNS = (
    "id, uid, key, name, metadata, tags, consent_ref, expires_at, faces, version, created_at,"
    " updated_at, sealed"
)


def get(connection: sqlite3.Connection, gallery: Gallery, key: str) -> Subject:
    """Raises SubjectNotFoundError."""
    found = find(connection, gallery, key)
    if found is None:
        raise SubjectNotFoundError("there is no such subject in this gallery")
    return found


def find(connection: sqlite3.Connection, gallery: Gallery, key: str) -> Subject | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM subjects WHERE owner = ? AND gallery_id = ? AND key = ?",  # noqa: S608
        (gallery.owner, gallery.id, key),
    ).fetchone()
    return None if row is None else _subject(gallery, row)


_BARE = "id, uid, key, faces, version, created_at, updated_at"


def bare(connection: sqlite3.Connection, gallery: Gallery, key: str) -> Subject:
    """As `get`, without what is said about it: enough to erase one whose record does not open."""
    row = connection.execute(
        f"SELECT {_BARE} FROM subjects WHERE owner = ? AND gallery_id = ? AND key = ?",  # noqa: S608
        (gallery.owner, gallery.id, key),
    ).fetchone()
    if row is None:
        return get(connection, gallery, key)
    return _bare(row)


def any_bare(connection: sqlite3.Connection, gallery: Gallery, limit: int) -> list[Subject]:
    """Some of the gallery's subjects, as `bare`."""
    rows = connection.execute(
        f"SELECT {_BARE} FROM subjects WHERE owner = ? AND gallery_id = ? LIMIT ?",  # noqa: S608
        (gallery.owner, gallery.id, limit),
    )
    return [_bare(row) for row in rows]


def _bare(row: tuple[int, str, str, int, int, int, int]) -> Subject:
    id_, uid, key, *counted = row
    faces, version, created_at, updated_at = counted
    return Subject(id_, uid, key, SubjectSpec(), faces, version, created_at, updated_at)


def by_ids(
    connection: sqlite3.Connection, gallery: Gallery, ids: Sequence[int]
) -> dict[int, Subject]:
    """Those of the ids that exist."""
    # One statement for all: each would let other threads have the interpreter, and wait for it.
    # By rowid: the planner would rather read through the gallery's index.
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM subjects NOT INDEXED WHERE owner = ? AND gallery_id = ?"  # noqa: S608
        " AND id IN (SELECT value FROM json_each(?))",
        (gallery.owner, gallery.id, json.dumps(list(ids))),
    )
    return {one.id: one for one in (_subject(gallery, row) for row in rows)}


def page(connection: sqlite3.Connection, gallery: Gallery, after: str, limit: int) -> list[Subject]:
    """Subjects by key, those after `after`: stable while others come and go."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM subjects WHERE owner = ? AND gallery_id = ? AND key > ?"  # noqa: S608
        " ORDER BY key LIMIT ?",
        (gallery.owner, gallery.id, after, limit),
    )
    return [_subject(gallery, row) for row in rows]


def insert(
    connection: sqlite3.Connection, gallery: Gallery, key: str, spec: SubjectSpec
) -> Subject:
    """A new subject, counted. Raises LimitReachedError where the gallery is full."""
    if gallery.subjects >= gallery.spec.limits.subjects:
        raise LimitReachedError(
            f"the gallery holds its limit of {gallery.spec.limits.subjects} subjects",
            limit="subjects",
            value=gallery.spec.limits.subjects,
        )
    at = now()
    uid = new_uid()
    row = connection.execute(
        "INSERT INTO subjects (owner, gallery_id, key, uid, name, metadata, tags, consent_ref,"  # noqa: S608
        " sealed, expires_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        f" RETURNING {_COLUMNS}",
        (gallery.owner, gallery.id, key, uid, *_values(gallery, uid, key, spec), at, at),
    ).fetchone()
    subject = _subject(gallery, row)
    _index_terms(connection, gallery, subject)
    galleries.count(connection, gallery, subjects=1, faces=0, id_sum=0)
    return subject


def update(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject, spec: SubjectSpec
) -> Subject:
    """The same subject with everything that a caller says about it replaced."""
    row = connection.execute(
        "UPDATE subjects SET name = ?, metadata = ?, tags = ?, consent_ref = ?, sealed = ?,"  # noqa: S608
        " expires_at = ?, version = version + 1, updated_at = ? WHERE owner = ? AND id = ?"
        f" RETURNING {_COLUMNS}",
        (
            *_values(gallery, subject.uid, subject.key, spec),
            now(),
            gallery.owner,
            subject.id,
        ),
    ).fetchone()
    connection.execute(
        "DELETE FROM terms WHERE owner = ? AND subject_id = ?", (gallery.owner, subject.id)
    )
    updated = _subject(gallery, row)
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
    """The subject's row, terms and key; its faces are the caller's to erase first."""
    vault.destroy_key(connection, gallery, subject)
    connection.execute(
        "DELETE FROM terms WHERE owner = ? AND subject_id = ?", (gallery.owner, subject.id)
    )
    connection.execute(
        "DELETE FROM subjects WHERE owner = ? AND id = ?", (gallery.owner, subject.id)
    )


def matching(connection: sqlite3.Connection, gallery: Gallery, wanted: Filter) -> list[int]:
    """Ids of the subjects that carry every term of the filter, ascending."""
    terms = _terms(gallery, wanted.tags, dict(wanted.metadata))
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
            for term in _terms(gallery, subject.spec.tags, dict(subject.spec.metadata))
        ],
    )


def _terms(gallery: Gallery, tags: Sequence[str], metadata: dict[str, Json]) -> list[str]:
    """Scalars only: a filter compares values, it does not look into lists and objects."""
    scalars = {k: v for k, v in metadata.items() if not isinstance(v, list | dict)}
    terms = [f"tag:{tag}" for tag in tags] + [f"meta:{k}={to_json(v)}" for k, v in scalars.items()]
    return [blinded(gallery.seal, term) for term in terms]


def blinded(seal: Seal | None, term: str) -> str:
    """A term as it is stored: searchable for equality, which is all that a filter needs."""
    return term if seal is None else seal.blind(term.encode()).hex()


def _values(gallery: Gallery, uid: str, key: str, spec: SubjectSpec) -> tuple[object, ...]:
    """Name, metadata, tags, consent, the same four sealed, expiry: as stored."""
    metadata, tags = to_json(dict(spec.metadata)), to_json(list(spec.tags))
    said = (spec.name, metadata, tags, spec.consent_ref)
    return (*sealed(gallery.seal, uid, key, said), spec.expires_at)


Said = tuple[str | None, str, str, str | None]
"""What a caller says about a subject: name, metadata and tags as JSON, consent."""


def sealed(
    seal: Seal | None, uid: str, key: str, said: Said
) -> tuple[str | None, str, str, str | None, bytes | None]:
    """As stored, the sealed form last. It is bound to the subject's id: ids cannot be exchanged."""
    if seal is None:
        return (*said, None)
    return None, "{}", "[]", None, seal.close(json.dumps(said).encode(), "subject", uid, key)


def _subject(gallery: Gallery, row: tuple[object, ...]) -> Subject:
    (id_, uid, key, *open_, expires_at, faces, version, created_at, updated_at, closed) = row
    if gallery.seal is not None:
        names = ("subject", cast(str, uid), cast(str, key))
        open_ = json.loads(gallery.seal.open(cast(bytes, closed), *names))
    name, metadata, tags, consent_ref = cast(Said, open_)
    spec = SubjectSpec(
        name=name,
        metadata=cast(dict[str, Json], from_json(metadata)),
        tags=tuple(cast(list[str], from_json(tags))),
        consent_ref=consent_ref,
        expires_at=cast(int | None, expires_at),
    )
    return Subject(
        id=cast(int, id_),
        uid=cast(str, uid),
        key=cast(str, key),
        spec=spec,
        faces=cast(int, faces),
        version=cast(int, version),
        created_at=cast(int, created_at),
        updated_at=cast(int, updated_at),
    )
