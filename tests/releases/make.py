"""Writes a small data directory and what it answers, for releases to come to be held against.

`python -m tests.releases.make NAME` with the code of the release, once; features only, synthetic.
"""

import base64
import gzip
import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.gallery.enrolment import Enrolment
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.security.keysource import KeyFile

HERE = Path(__file__).parent
OWNERS = ("local", "other")
DIM, SUBJECTS, PROBES = 16, 40, 12


def features(seed: int, count: int) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal((count, DIM)) * 3).astype(np.float32)


def fill(service: GalleryService, owner: str, seed: int) -> None:
    """Subjects with one to three faces, of whom some have been erased."""
    spec = GallerySpec("people", "c1-release", DIM, "off", identify=True, metadata={"of": owner})
    service.create_gallery(owner, spec)
    rows = iter(features(seed, SUBJECTS * 3))
    for n in range(SUBJECTS):
        about = SubjectSpec(
            name=f"Pérson {n}",
            metadata={"n": n},
            tags=("even",) if n % 2 == 0 else (),
            consent_ref=f"C-{n}",
            expires_at=4102444800000 if n % 3 == 0 else None,
        )
        faces = [NewFace(next(rows), 50.0, None, bytes(32)) for _ in range(1 + n % 3)]
        service.enrol(owner, "people", Enrolment(f"s{n:02}", faces, "c1-release", about))
    for n in (3, 17):
        service.erase_subject(owner, "people", f"s{n:02}")
    uid = service.faces(owner, "people", "s05")[0].uid
    service.erase_face(owner, "people", "s05", uid)


def answers(service: GalleryService, owner: str, probes: NDArray[np.float32]) -> list[Any]:
    """[subject, face, similarity] of the five nearest of each probe."""
    return [
        [
            [match.subject.key, match.face.uid, round(match.similarity, 7)]
            for match in service.search(
                owner, "people", probe, "c1-release", SearchOptions(k=5)
            ).matches
        ]
        for probe in probes
    ]


def said(service: GalleryService, owner: str) -> dict[str, Any]:
    """All that the gallery answers, as JSON has it."""
    gallery = service.gallery(owner, "people")
    subjects, _ = service.subjects(owner, "people", None, 1000)
    probes = np.concatenate([features(1 + OWNERS.index(owner), 6), features(99, PROBES - 6)])
    return {
        "faces": gallery.faces,
        "revision": gallery.revision,
        "subjects": {
            one.key: [one.spec.name, one.spec.metadata, list(one.spec.tags), one.spec.consent_ref]
            for one in subjects
        },
        "probes": base64.b64encode(probes.astype("<f4").tobytes()).decode(),
        "answers": answers(service, owner, probes),
    }


def main(name: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        data.mkdir()
        sealed = StoreOptions(keys=KeyFile(data / "master.key"))
        service = GalleryService(GalleryStore(data / "gallery", sealed))
        for seed, owner in enumerate(OWNERS, start=1):
            fill(service, owner, seed)
        answered = {owner: said(service, owner) for owner in OWNERS}
        service.close()
        (data / "gallery" / "reserve").unlink()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(data, ".")
    (HERE / f"{name}.tar.gz").write_bytes(gzip.compress(buffer.getvalue(), 9))
    text = json.dumps(answered, indent=1, ensure_ascii=False)
    (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
