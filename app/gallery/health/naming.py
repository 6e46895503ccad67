"""Findings with the names that callers know; who has been erased since is left out."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from app.gallery.health.findings import Finding, Outlier, Pair, Weak
from app.gallery.rows import faces, subjects
from app.gallery.types import Gallery


@dataclass(frozen=True, slots=True)
class NamedFace:
    """A face by its uid and the caller's id of its subject."""

    subject: str
    face: str


@dataclass(frozen=True, slots=True)
class NamedPair:
    a: NamedFace
    b: NamedFace
    similarity: float
    misfiled: str | None


@dataclass(frozen=True, slots=True)
class NamedOutlier:
    at: NamedFace
    similarity: float
    faces: int
    nearer_subject: str | None
    nearer_similarity: float | None


@dataclass(frozen=True, slots=True)
class NamedWeak:
    at: NamedFace
    norm: float
    faces: int


Named = NamedPair | NamedOutlier | NamedWeak


class _Names:
    """Names of the ids that still exist."""

    def __init__(
        self, connection: sqlite3.Connection, gallery: Gallery, findings: Sequence[Finding]
    ) -> None:
        face_ids = {face for one in findings for face in _faces(one)}
        subject_ids = {subject for one in findings for subject in _subjects(one)}
        self._faces = faces.by_ids(connection, gallery, sorted(face_ids))
        self._subjects = subjects.by_ids(connection, gallery, sorted(subject_ids))

    def face(self, subject: int, face: int) -> NamedFace | None:
        if subject not in self._subjects or face not in self._faces:
            return None
        return NamedFace(self._subjects[subject].key, self._faces[face].uid)

    def uid(self, face: int | None) -> str | None:
        return self._faces[face].uid if face in self._faces else None

    def key(self, subject: int | None) -> str | None:
        return self._subjects[subject].key if subject in self._subjects else None


def named(
    connection: sqlite3.Connection, gallery: Gallery, findings: Sequence[Finding]
) -> list[Named]:
    """In the same order."""
    names = _Names(connection, gallery, findings)
    found = (_named(names, one) for one in findings)
    return [one for one in found if one is not None]


def _named(names: _Names, one: Finding) -> Named | None:
    if isinstance(one, Pair):
        a, b = names.face(one.subject_a, one.face_a), names.face(one.subject_b, one.face_b)
        if a is None or b is None:
            return None
        return NamedPair(a, b, one.similarity, names.uid(one.misfiled))
    at = names.face(one.subject, one.face)
    if at is None:
        return None
    if isinstance(one, Weak):
        return NamedWeak(at, one.norm, one.faces)
    nearer = names.key(one.nearer_subject)
    similarity = None if nearer is None else one.nearer_similarity
    return NamedOutlier(at, one.similarity, one.faces, nearer, similarity)


def _faces(one: Finding) -> tuple[int, ...]:
    return (one.face_a, one.face_b) if isinstance(one, Pair) else (one.face,)


def _subjects(one: Finding) -> tuple[int, ...]:
    if isinstance(one, Pair):
        return (one.subject_a, one.subject_b)
    nearer = one.nearer_subject if isinstance(one, Outlier) else None
    return (one.subject,) if nearer is None else (one.subject, nearer)
