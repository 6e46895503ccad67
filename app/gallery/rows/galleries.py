"""Galleries: created, listed, counted."""

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from app.domain import QualityPolicy
from app.errors import BusyError, GalleryExistsError, GalleryNotFoundError
from app.gallery.database import Connection
from app.gallery.policy import Policy, QualityRule
from app.gallery.rows.common import from_json, new_uid, now, to_json
from app.gallery.types import ConflictPolicy, Gallery, GallerySpec, Holdings, Json, Limits

ID_SUM_MODULUS = 2**62

_COLUMNS = (
    "id, uid, owner, name, contract_id, dim, conflict, metadata, max_subjects, max_faces,"
    " max_faces_per_subject, created_at, identify, version, revision, subjects, faces,"
    " id_sum, policy, bound_to, data_key"
)


def create(connection: Connection, owner: str, spec: GallerySpec) -> Gallery:
    """Raises GalleryExistsError where the owner has one of this name."""
    uid = new_uid()
    data_key = connection.seals.new_key(owner, uid, spec.contract_id)
    try:
        connection.execute(
            "INSERT INTO galleries (owner, name, uid, contract_id, dim, conflict, metadata,"
            " max_subjects, max_faces, max_faces_per_subject, identify, policy, created_at,"
            " data_key)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (owner, spec.name, uid, spec.contract_id, spec.dim, *_terms(spec), now(), data_key),
        )
    except sqlite3.IntegrityError:
        raise GalleryExistsError("there is a gallery of this name already") from None
    return get(connection, owner, spec.name)


def get(connection: Connection, owner: str, name: str) -> Gallery:
    """Raises GalleryNotFoundError, for another owner's gallery too."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM galleries WHERE owner = ? AND name = ?",  # noqa: S608
        (owner, name),
    ).fetchone()
    if row is None:
        raise GalleryNotFoundError("there is no such gallery")
    return _gallery(connection, row)


def page(connection: Connection, owner: str, after: str, limit: int) -> list[Gallery]:
    """The owner's galleries by name, those after `after`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM galleries WHERE owner = ? AND name > ?"  # noqa: S608
        " ORDER BY name LIMIT ?",
        (owner, after, limit),
    )
    return [_gallery(connection, row) for row in rows]


def holdings(connection: sqlite3.Connection, contract_id: str) -> dict[str, Holdings]:
    """What all owners' galleries hold, of this contract ("current") and of "other" ones."""
    rows = connection.execute(
        "SELECT contract_id = ?, COUNT(*), SUM(subjects), SUM(faces) FROM galleries GROUP BY 1",
        (contract_id,),
    )
    return {"current" if same else "other": Holdings(*counts) for same, *counts in rows}


def update(connection: Connection, gallery: Gallery, spec: GallerySpec) -> Gallery:
    """The same gallery under other terms; its name and contract stay."""
    row = connection.execute(
        "UPDATE galleries SET conflict = ?, metadata = ?, max_subjects = ?, max_faces = ?,"  # noqa: S608
        " max_faces_per_subject = ?, identify = ?, policy = ?, version = version + 1"
        f" WHERE owner = ? AND id = ? RETURNING {_COLUMNS}",
        (*_terms(spec), gallery.owner, gallery.id),
    ).fetchone()
    return _gallery(connection, row)


def respace(connection: sqlite3.Connection, gallery: Gallery, contract_id: str, dim: int) -> None:
    """The gallery is of another contract; what its seal is bound to stays."""
    connection.execute(
        "UPDATE galleries SET bound_to = coalesce(bound_to, contract_id), contract_id = ?, dim = ?,"
        " version = version + 1, revision = revision + 1 WHERE owner = ? AND id = ?",
        (contract_id, dim, gallery.owner, gallery.id),
    )


def check_space(connection: sqlite3.Connection, gallery: Gallery) -> None:
    """Raises BusyError where the gallery has moved to another contract since it was read."""
    row = connection.execute(
        "SELECT contract_id FROM galleries WHERE owner = ? AND id = ?",
        (gallery.owner, gallery.id),
    ).fetchone()
    if row is not None and row[0] != gallery.spec.contract_id:
        raise BusyError("the gallery has just moved to another recogniser; ask again")


def all_owners(connection: Connection) -> list[Gallery]:
    """Every owner's galleries: for the service itself, at start."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM galleries ORDER BY owner, name"  # noqa: S608
    )
    return [_gallery(connection, row) for row in rows]


def count(
    connection: sqlite3.Connection, gallery: Gallery, *, subjects: int, faces: int, id_sum: int
) -> int:
    """Moves the counts by these differences; the new revision."""
    return cast(
        int,
        connection.execute(
            "UPDATE galleries SET revision = revision + 1, subjects = subjects + ?,"
            " faces = faces + ?, id_sum = (id_sum + ?) % ? WHERE owner = ? AND id = ?"
            " RETURNING revision",
            (
                subjects,
                faces,
                id_sum % ID_SUM_MODULUS,
                ID_SUM_MODULUS,
                gallery.owner,
                gallery.id,
            ),
        ).fetchone()[0],
    )


def revision(connection: sqlite3.Connection, gallery: Gallery) -> int:
    """The gallery's revision as it is now."""
    return cast(
        int,
        connection.execute(
            "SELECT revision FROM galleries WHERE owner = ? AND id = ?",
            (gallery.owner, gallery.id),
        ).fetchone()[0],
    )


def rename(connection: sqlite3.Connection, gallery: Gallery, name: str) -> None:
    connection.execute(
        "UPDATE galleries SET name = ?, revision = revision + 1 WHERE owner = ? AND id = ?",
        (name, gallery.owner, gallery.id),
    )


def by_uid(connection: Connection, uid: str) -> Gallery | None:
    """Any owner's gallery: for the service itself, which erases what a tombstone names."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM galleries WHERE uid = ?",  # noqa: S608
        (uid,),
    ).fetchone()
    return None if row is None else _gallery(connection, row)


def delete(connection: sqlite3.Connection, gallery: Gallery) -> None:
    """The gallery's rows; its contents are the caller's to erase first."""
    connection.execute(
        "DELETE FROM gallery_health WHERE owner = ? AND gallery_id = ?",
        (gallery.owner, gallery.id),
    )
    connection.execute(
        "DELETE FROM galleries WHERE owner = ? AND id = ?", (gallery.owner, gallery.id)
    )


def _terms(spec: GallerySpec) -> tuple[object, ...]:
    return (
        spec.conflict,
        to_json(dict(spec.metadata)),
        *asdict(spec.limits).values(),
        spec.identify,
        to_json(asdict(spec.policy)),
    )


def _policy(kept: Mapping[str, Json]) -> Policy:
    fields: dict[str, object] = dict(kept)
    for stage in ("enrol", "query"):
        if stage in fields:
            rule = cast(dict[str, str], fields[stage])
            fields[stage] = QualityRule(**{name: QualityPolicy(rule[name]) for name in rule})
    return Policy(**fields)  # type: ignore[arg-type]


def _gallery(connection: Connection, row: tuple[object, ...]) -> Gallery:
    (
        id_,
        uid,
        owner,
        name,
        contract_id,
        dim,
        conflict,
        metadata,
        *rest,
        policy,
        bound_to,
        data_key,
    ) = row
    max_subjects, max_faces, max_per_subject, created, identify, *counted = cast(list[int], rest)
    version, revision, subjects, faces, id_sum = counted
    spec = GallerySpec(
        name=cast(str, name),
        contract_id=cast(str, contract_id),
        dim=cast(int, dim),
        conflict=cast(ConflictPolicy, conflict),
        identify=bool(identify),
        metadata=cast(dict[str, Json], from_json(cast(str, metadata))),
        limits=Limits(max_subjects, max_faces, max_per_subject),
        policy=_policy(cast(dict[str, Json], from_json(cast(str, policy)))),
    )
    return Gallery(
        id=cast(int, id_),
        uid=cast(str, uid),
        owner=cast(str, owner),
        spec=spec,
        created_at=created,
        version=version,
        revision=revision,
        subjects=subjects,
        faces=faces,
        id_sum=id_sum,
        seal=connection.seals.of(
            cast(str, owner),
            cast(str, uid),
            cast(str | None, bound_to) or spec.contract_id,
            cast(bytes | None, data_key),
        ),
    )
