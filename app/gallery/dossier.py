"""All that is held about one person, and about nobody else."""

import sqlite3
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.gallery.features import unpacked
from app.gallery.rows import faces, reports, subjects, vault
from app.gallery.rows.reports import Report
from app.gallery.types import Gallery, StoredFace, Subject


@dataclass(frozen=True, slots=True)
class KeptFace:
    """An enrolled face with its raw feature, float32 (D,), and its keepsake."""

    face: StoredFace
    feature: NDArray[np.float32] = field(repr=False)
    keepsake: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dossier:
    """What the database holds of one subject. The audit log has hashes of its id besides."""

    gallery: Gallery
    subject: Subject
    faces: tuple[KeptFace, ...]
    reports: tuple[Report, ...]
    """Lines about it in the reports of imports."""


def dossier(connection: sqlite3.Connection, gallery: Gallery, key: str) -> Dossier:
    """Raises SubjectNotFoundError."""
    [feature_type] = connection.execute(
        "SELECT value FROM meta WHERE name = 'feature_type'"
    ).fetchone()
    subject = subjects.get(connection, gallery, key)
    stored = faces.of_subject(connection, gallery, subject)
    blobs = faces.features(connection, gallery, subject.id)
    keepsakes = vault.of_subject(connection, gallery, subject)
    kept = (
        KeptFace(face, unpacked(blob, feature_type), keepsakes.get(face.id))
        for face, blob in zip(stored, blobs, strict=True)
    )
    return Dossier(gallery, subject, tuple(kept), tuple(reports.about(connection, gallery, key)))
