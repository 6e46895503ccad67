"""A gallery as NDJSON: one line for each subject, features included."""

import base64
import json
from collections.abc import Iterator

from app.gallery.features import unpacked
from app.gallery.rows import faces, galleries, subjects
from app.gallery.store import GalleryStore
from app.gallery.types import Gallery, Subject

PAGE = 200


def export(store: GalleryStore, owner: str, gallery_name: str) -> Iterator[str]:
    """Lines without their ends. Read in pages, so that no long read holds up an erasure.

    Raises GalleryNotFoundError.
    """
    after = ""
    while True:
        with store.read() as connection:
            gallery = galleries.get(connection, owner, gallery_name)
            page = subjects.page(connection, gallery, after, PAGE)
            lines = [
                _line(store, gallery, subject, faces.features(connection, gallery, subject.id))
                for subject in page
            ]
        yield from lines
        if len(page) < PAGE:
            return
        after = page[-1].key


def _line(store: GalleryStore, gallery: Gallery, subject: Subject, blobs: list[bytes]) -> str:
    spec = subject.spec
    features = [unpacked(blob, store.options.feature_type) for blob in blobs]
    return json.dumps(
        {
            "subject": subject.key,
            "contract_id": gallery.spec.contract_id,
            "name": spec.name,
            "metadata": dict(spec.metadata),
            "tags": list(spec.tags),
            "consent_ref": spec.consent_ref,
            "expires_at": spec.expires_at,
            "features": [base64.b64encode(f.astype("<f4").tobytes()).decode() for f in features],
        },
        ensure_ascii=False,
    )
