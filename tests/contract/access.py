"""Every operation of the API with a request that its right caller is answered: the access matrix.

A new route needs a row here: its scopes, and such a request. Everything that it refuses is derived
from the row.
"""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.domain import Box
from app.gallery.enrolment import Enrolment
from app.gallery.rows import galleries, moves
from app.gallery.rows.common import new_uid
from app.gallery.service import GalleryService
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.gallery.writer import Transaction
from app.jobs import rows as jobs
from app.jobs.types import NewJob
from app.security.scopes import Scope

GALLERY = "/v1/galleries/{gallery}"
SUBJECT = GALLERY + "/subjects/{subject}"
FACES = SUBJECT + "/faces"
DIM = 128


@dataclass(frozen=True, slots=True)
class Row:
    """How an operation is called well. `photos` are the names of the photos that it reads;
    `fresh_name` sends {"name": …} with a name that nothing has."""

    operation: str
    scopes: frozenset[Scope]
    right: int = 200
    photos: tuple[str, ...] = ()
    json: dict[str, Any] | None = None
    content: tuple[str, bytes] | None = None
    """A body of this content type."""
    fresh_name: bool = False

    @property
    def method(self) -> str:
        return self.operation.split()[0]

    @property
    def path(self) -> str:
        return self.operation.split()[1]

    @property
    def elsewhere(self) -> int:
        """What another owner is answered: 404 where the path names what an owner has."""
        return 404 if "{" in self.path else self.right


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody's gallery `gallery` with the subject `subject` and one face of theirs, and a job
    that has ended."""

    gallery: str
    subject: str
    face: str
    job: str

    def url(self, path: str) -> str:
        return path.format(gallery=self.gallery, subject=self.subject, face=self.face, job=self.job)


def furnish(store: GalleryService, owner: str, name: str, contract_id: str) -> Place:
    """A new gallery of this owner, open to identification."""
    store.create_gallery(owner, GallerySpec(name, contract_id, DIM, identify=True))
    face = NewFace(unit(1), 50.0, Box(0.0, 0.0, 100.0, 100.0))
    enrolment = Enrolment("anna", [face], contract_id, create=SubjectSpec())
    enrolled = store.enrol(owner, name, enrolment).enrolled
    store.store.write(lambda t: _move(t, owner, name))
    return Place(name, "anna", enrolled.faces[0].uid, _job(store, owner, name))


def _move(transaction: Transaction, owner: str, name: str) -> None:
    """On its way to a recogniser that is not there: what that takes away is said to its owner."""
    gallery = galleries.get(transaction.connection, owner, name)
    moves.begin(transaction.connection, gallery, "c1-other", 64)


def _job(store: GalleryService, owner: str, name: str) -> str:
    uid = new_uid()

    def write(transaction: Transaction) -> None:
        gallery = galleries.get(transaction.connection, owner, name)
        jobs.insert(transaction.connection, gallery, NewJob(uid, "import", name, {}, bytes(32)))
        job = jobs.get(transaction.connection, owner, uid)
        jobs.set_state(transaction.connection, job, "cancelled")

    store.store.write(write)
    return uid


def unit(axis: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A raw feature of length 10."""
    return (np.eye(1, DIM, axis) * 10).astype(np.float32)[0]


FEATURE = base64.b64encode(unit(2).astype("<f4").tobytes()).decode()


def rows(contract_id: str) -> list[Row]:
    """The matrix."""
    verify, identify, enrol, read, embeddings, admin = (frozenset({scope}) for scope in Scope)
    features = {"contract_id": contract_id, "features": [{"feature": FEATURE}]}
    return [
        Row("GET /healthz", frozenset()),
        Row("GET /readyz", frozenset()),
        Row("GET /v1/models", read),
        Row("POST /v1/verify", verify, photos=("image_a", "image_b")),
        Row("POST /v1/detect", verify, photos=("image",)),
        Row("POST /v1/embed", embeddings, photos=("image",)),
        Row("GET /v1/galleries", read),
        Row("POST /v1/galleries", admin, 201, fresh_name=True),
        Row(f"GET {GALLERY}", read),
        Row(f"PATCH {GALLERY}", admin, json={"identify": False}),
        Row(f"DELETE {GALLERY}", admin),
        Row(f"GET {GALLERY}/health", admin),
        Row(f"POST {GALLERY}/health", admin, 202),
        Row(f"GET {GALLERY}/health/findings", admin),
        Row(f"POST {GALLERY}/migration", admin, 409),
        Row(f"GET {GALLERY}/migration", admin),
        Row(f"POST {GALLERY}/migration/cutover", admin, 409),
        Row(f"POST {GALLERY}/migration/rollback", admin, 409),
        Row(f"DELETE {GALLERY}/migration", admin),
        Row(f"GET {GALLERY}/subjects", read),
        Row(f"GET {SUBJECT}", read),
        Row(f"GET {SUBJECT}/export", read | embeddings),
        Row(f"PUT {SUBJECT}", enrol, json={"name": "Anna"}),
        Row(f"PATCH {SUBJECT}", enrol, json={"name": "Anna"}),
        Row(f"DELETE {SUBJECT}", enrol),
        Row(f"GET {FACES}", read),
        Row(f"POST {FACES}", enrol, 201, photos=("image",)),
        Row(f"POST {FACES}/features", enrol | embeddings, 201, json=features),
        Row(f"DELETE {FACES}/{{face}}", enrol),
        Row(f"POST {GALLERY}/identify", identify, photos=("image",)),
        Row(f"POST {GALLERY}/search", identify, json={"subject": "anna"}),
        Row(f"POST {GALLERY}/verify/{{subject}}", verify, photos=("image",)),
        Row(f"POST {GALLERY}/imports", enrol, 202, content=("application/x-tar", bytes(10240))),
        Row(f"GET {GALLERY}/export", read | embeddings),
        Row("GET /v1/jobs", read),
        Row("GET /v1/jobs/{job}", read),
        Row("GET /v1/jobs/{job}/items", read),
        Row("DELETE /v1/jobs/{job}", enrol),
    ]
