"""A gallery as NDJSON: one line for each subject, features included; what an import reads.

Legible by intent: whoever exports takes the data out of the service's protection.
"""

import base64
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple

from app.gallery.database import one_state
from app.gallery.features import unpacked
from app.gallery.rows import faces, galleries, subjects
from app.gallery.store import GalleryStore
from app.gallery.types import FeatureType, Gallery, Json, StoredFace, Subject

PAGE = 200


def export(store: GalleryStore, owner: str, gallery_name: str) -> Iterator[str]:
    """Lines without their ends. Read in pages, so that no long read holds up an erasure.

    Raises GalleryNotFoundError.
    """
    after = ""
    while True:
        with store.read() as connection, one_state(connection):
            gallery = galleries.get(connection, owner, gallery_name)
            page = subjects.page(connection, gallery, after, PAGE)
            feature_type = store.options.feature_type
            lines = [_line(connection, gallery, subject, feature_type) for subject in page]
        yield from lines
        if len(page) < PAGE:
            return
        after = page[-1].key


def _line(
    connection: sqlite3.Connection, gallery: Gallery, subject: Subject, feature_type: FeatureType
) -> str:
    spec = subject.spec
    stored = faces.of_subject(connection, gallery, subject)
    blobs = faces.features(connection, gallery, subject.id)
    return json.dumps(
        {
            "subject": subject.key,
            "contract_id": gallery.spec.contract_id,
            "name": spec.name,
            "metadata": dict(spec.metadata),
            "tags": list(spec.tags),
            "consent_ref": spec.consent_ref,
            "expires_at": spec.expires_at,
            "faces": [
                _face(face, blob, feature_type) for face, blob in zip(stored, blobs, strict=True)
            ],
        },
        ensure_ascii=False,
    )


def _face(face: StoredFace, blob: bytes, feature_type: FeatureType) -> Json:
    """A face without a photo is told by its feature, so that an import knows it again."""
    raw = unpacked(blob, feature_type).astype("<f4").tobytes()
    return {
        "feature": base64.b64encode(raw).decode(),
        "quality": face.quality,
        "box": None if face.box is None else list(astuple(face.box)),
        "source_sha256": (face.source or hashlib.sha256(raw).digest()).hex(),
        "created_at": face.created_at,
    }
