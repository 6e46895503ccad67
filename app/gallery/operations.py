"""What may be done to a gallery, each inside one transaction of the writer.

All take the owner first; another owner's objects are not found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import (
    BusyError,
    ConsentMissingError,
    PreconditionFailedError,
    VaultUnencryptedError,
)
from app.gallery import tombstones
from app.gallery.database import Connection
from app.gallery.rows import faces, galleries, moves, reports, subjects, vault
from app.gallery.rows.common import now
from app.gallery.rows.faces import PackedFace
from app.gallery.types import Gallery, GallerySpec, StoredFace, Subject, SubjectSpec
from app.gallery.writer import Change, Space, Transaction
from app.security.audit.event import Detail, Event

DOOMED = "\x00"
"""Begins the name of a gallery that is being erased: no caller can name it."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A subject after faces were added to it."""

    subject: Subject
    faces: tuple[StoredFace, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure removed: `uid` of the tombstone, faces, the gallery's new revision."""

    uid: str
    faces: int
    revision: int
    erased_at: int

    def event(self, action: str, owner: str, gallery: str, key: str | None = None) -> Event:
        """The same for the audit log."""
        details: dict[str, Detail] = {
            "receipt": self.uid,
            "faces": self.faces,
            "revision": self.revision,
        }
        return Event(action, owner, gallery, key, details)


def create_gallery(transaction: Transaction, owner: str, spec: GallerySpec) -> Gallery:
    """Raises GalleryExistsError, VaultUnencryptedError."""
    _check_vault(transaction.connection, spec)
    gallery = galleries.create(transaction.connection, owner, spec)
    none = np.zeros(0, np.int64)
    transaction.changes.append(
        Change(gallery.id, 0, none, none, None, opens=Space(spec.contract_id, spec.dim))
    )
    return gallery


def change_gallery(
    transaction: Transaction,
    owner: str,
    name: str,
    change: Callable[[Gallery], GallerySpec],
    version: int | None,
) -> Gallery:
    """The gallery under the terms that `change` makes of its own.

    Raises PreconditionFailedError where `version` is given and is not the gallery's, and
    VaultUnencryptedError, and BusyError where the vault is opened while it is being emptied.
    """
    connection = transaction.connection
    gallery = _at_version(connection, owner, name, version)
    spec = change(gallery)
    _check_vault(connection, spec)
    if gallery.spec.policy.vault and not spec.policy.vault:
        vault.lock_for_ever(connection, gallery)
    elif not gallery.spec.policy.vault and spec.policy.vault and vault.holds(connection, gallery):
        raise BusyError("the vault is being emptied; try again shortly")
    return galleries.update(connection, gallery, spec)


def _check_vault(connection: Connection, spec: GallerySpec) -> None:
    if spec.policy.vault and connection.seals.keys is None:
        raise VaultUnencryptedError("a vault needs encryption at rest (NORMA_ENCRYPTION=on)")


def _at_version(connection: Connection, owner: str, name: str, version: int | None) -> Gallery:
    gallery = galleries.get(connection, owner, name)
    _expect("the gallery", gallery.version, version)
    return gallery


def _expect(what: str, version: int, expected: int | None) -> None:
    if expected is not None and version != expected:
        raise PreconditionFailedError(f"{what} is at version {version}, not {expected}")


def _check_consent(gallery: Gallery, spec: SubjectSpec) -> None:
    if gallery.spec.policy.require_consent and spec.consent_ref is None:
        raise ConsentMissingError("this gallery keeps faces of subjects with a consent_ref only")


def upsert_subject(
    transaction: Transaction,
    owner: str,
    gallery_name: str,
    key: str,
    change: Callable[[Subject | None], SubjectSpec],
    version: int | None,
) -> tuple[Subject, bool]:
    """The subject as `change` makes it from what it was, and whether it is new.

    Raises PreconditionFailedError where `version` is given and is not the subject's (0: absent),
    ConsentMissingError where it would take the consent away under which faces are kept.
    """
    connection = transaction.connection
    gallery = galleries.get(connection, owner, gallery_name)
    found = subjects.find(connection, gallery, key)
    _expect("the subject", found.version if found else 0, version)
    spec = change(found)
    if found is None:
        subject = subjects.insert(connection, gallery, key, spec)
    else:
        if found.faces:
            _check_consent(gallery, spec)
        subject = subjects.update(connection, gallery, found, spec)
    _report(transaction, gallery)
    return subject, found is None


def add_faces(
    transaction: Transaction,
    owner: str,
    gallery_name: str,
    key: str,
    packed: Sequence[PackedFace],
    feature_type: str,
    spec: SubjectSpec | None = None,
) -> Enrolled:
    """Adds faces to a subject, creating it where `spec` is given; all of them or none.

    Raises SubjectNotFoundError where there is neither the subject nor a `spec`, and
    ConsentMissingError by the gallery's policy.
    """
    connection = transaction.connection
    gallery = galleries.get(connection, owner, gallery_name)
    subject = subjects.find(connection, gallery, key)
    if subject is None and spec is not None:
        subject = subjects.insert(connection, gallery, key, spec)
    if subject is None:
        subject = subjects.get(connection, gallery, key)
    _check_consent(gallery, subject.spec)
    stored = faces.insert(connection, gallery, subject, packed)
    subjects.count_faces(connection, gallery, subject, len(stored))
    ids = [face.id for face in stored]
    galleries.count(connection, gallery, subjects=0, faces=len(ids), id_sum=sum(ids))
    stack = np.frombuffer(b"".join(one.feature for one in packed), feature_type)
    revision = _report(
        transaction, gallery, ids, [subject.id] * len(ids), stack.reshape(len(ids), -1)
    )
    return Enrolled(subjects.get(connection, gallery, key), tuple(stored), revision)


def erase_face(
    transaction: Transaction, owner: str, gallery_name: str, key: str, uid: str
) -> Erased:
    """Raises EnrolledFaceNotFoundError where the subject has no such face."""
    connection = transaction.connection
    gallery = galleries.get(connection, owner, gallery_name)
    subject = subjects.bare(connection, gallery, key)
    face = faces.get(connection, gallery, subject, uid)
    return _erase(transaction, gallery, subject, [face.id], "face", uid)


def erase_subject(
    transaction: Transaction, owner: str, gallery_name: str, key: str, version: int | None = None
) -> Erased:
    """Raises PreconditionFailedError where `version` is given and is not the subject's."""
    connection = transaction.connection
    gallery = galleries.get(connection, owner, gallery_name)
    subject = subjects.bare(connection, gallery, key)
    _expect("the subject", subject.version, version)
    ids = faces.ids_of_subjects(connection, gallery, [subject.id])
    return _erase(transaction, gallery, subject, ids, "subject", subject.uid)


def _erase(
    transaction: Transaction,
    gallery: Gallery,
    subject: Subject,
    ids: list[int],
    kind: tombstones.Kind,
    uid: str,
) -> Erased:
    connection = transaction.connection
    whole = kind == "subject"
    at = now()
    faces.delete(connection, gallery, ids)
    if whole:
        reports.forget_subject(connection, gallery, subject.key)
        subjects.delete(connection, gallery, subject)
    else:
        subjects.count_faces(connection, gallery, subject, -len(ids))
    tombstones.bury(connection, kind, uid, at)
    galleries.count(connection, gallery, subjects=-whole, faces=-len(ids), id_sum=-sum(ids))
    revision = _report(transaction, gallery, ids, [subject.id] * len(ids))
    return Erased(uid, len(ids), revision, at)


def doom_gallery(
    transaction: Transaction, owner: str, gallery_name: str, version: int | None = None
) -> Gallery:
    """Takes a gallery's name away, so that nothing reaches it while it is being erased.

    Raises PreconditionFailedError where `version` is given and is not the gallery's.
    """
    connection = transaction.connection
    gallery = _at_version(connection, owner, gallery_name, version)
    galleries.rename(connection, gallery, f"{DOOMED}{gallery.uid}")
    tombstones.bury(connection, "gallery", gallery.uid, now())
    return gallery


def erase_some(transaction: Transaction, uid: str, limit: int) -> bool:
    """Erases up to some subjects of a doomed gallery, in the end the gallery; whether any is left.

    Its snapshot files must be gone already.
    """
    connection = transaction.connection
    gallery = galleries.by_uid(connection, uid)
    if gallery is None:
        return False
    doomed = subjects.any_bare(connection, gallery, limit)
    for subject in doomed:
        ids = faces.ids_of_subjects(connection, gallery, [subject.id])
        faces.delete_unnoted(connection, gallery, ids)
        subjects.delete(connection, gallery, subject)
    if not doomed:
        reports.forget_gallery(connection, gallery)
        moves.end(connection, gallery)
        galleries.delete(connection, gallery)
    return bool(doomed)


def ensure_subject(
    transaction: Transaction, owner: str, gallery_name: str, key: str, spec: SubjectSpec | None
) -> Enrolled:
    """The subject without a new face; it is created where `spec` is given and it is missing."""
    connection = transaction.connection
    gallery = galleries.get(connection, owner, gallery_name)
    subject = subjects.find(connection, gallery, key)
    if subject is not None or spec is None:
        return Enrolled(subjects.get(connection, gallery, key), (), gallery.revision)
    subject = subjects.insert(connection, gallery, key, spec)
    return Enrolled(subject, (), _report(transaction, gallery))


def _report(
    transaction: Transaction,
    gallery: Gallery,
    ids: Sequence[int] = (),
    subject_ids: Sequence[int] = (),
    features: NDArray[Any] | None = None,
) -> int:
    """Tells the index what happened; the gallery's revision after it."""
    revision = galleries.revision(transaction.connection, gallery)
    transaction.changes.append(
        Change(
            gallery.id,
            revision,
            np.array(ids, np.int64),
            np.array(subject_ids, np.int64),
            features,
        )
    )
    return revision


def apply_tombstone(transaction: Transaction, tombstone: tombstones.Tombstone) -> None:
    """Erases again what a restored database still has, and adopts the tombstone."""
    connection = transaction.connection
    if tombstone.kind == "gallery":
        gallery = galleries.by_uid(connection, tombstone.uid)
        if gallery is not None:
            galleries.rename(connection, gallery, f"{DOOMED}{gallery.uid}")
    else:
        _erase_again(transaction, tombstone)
    tombstones.adopt(connection, tombstone)


def _erase_again(transaction: Transaction, tombstone: tombstones.Tombstone) -> None:
    connection = transaction.connection
    table = subjects if tombstone.kind == "subject" else faces
    place = table.place(connection, tombstone.uid)
    if place is None:
        return
    owner, gallery_name, key = place
    gallery = galleries.get(connection, owner, gallery_name)
    subject = subjects.bare(connection, gallery, key)
    whole = tombstone.kind == "subject"
    ids = (
        faces.ids_of_subjects(connection, gallery, [subject.id])
        if whole
        else [faces.get(connection, gallery, subject, tombstone.uid).id]
    )
    faces.delete(connection, gallery, ids)
    if whole:
        reports.forget_subject(connection, gallery, subject.key)
        subjects.delete(connection, gallery, subject)
    else:
        subjects.count_faces(connection, gallery, subject, -1)
    galleries.count(connection, gallery, subjects=-whole, faces=-len(ids), id_sum=-sum(ids))
