"""Adding faces: packed, checked against other subjects, remembered by idempotency key."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from app.errors import ContractMismatchError, IdentityConflictError
from app.gallery import features, operations
from app.gallery.index.rescore import Ranked, cosines
from app.gallery.operations import Enrolled
from app.gallery.rows import faces, galleries, idempotency, subjects
from app.gallery.rows.faces import PackedFace
from app.gallery.search import Searcher
from app.gallery.store import GalleryStore
from app.gallery.types import Gallery, NewFace, SubjectSpec
from app.gallery.writer import Transaction
from app.security.caller import FEWEST_DIGITS


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A request to add faces to a subject.

    `create` makes the subject where it is missing. `conflict_from` is the similarity from which
    a face of another subject counts as the same person; None does not look. `once` leaves out
    faces whose source the subject has already. `alongside` is called with what has been enrolled,
    to write more in the same transaction.
    """

    key: str
    faces: Sequence[NewFace]
    contract_id: str
    create: SubjectSpec | None = None
    conflict_from: float | None = None
    idempotency_key: str | None = None
    once: bool = False
    alongside: Callable[[Transaction, Enrolled], None] | None = field(default=None, repr=False)

    def digest(self, gallery: Gallery) -> bytes:
        """Equal for equal requests."""
        spec = None if self.create is None else asdict(self.create)
        head = json.dumps([gallery.name, self.key, self.contract_id, spec], sort_keys=True)
        digest = hashlib.sha256(head.encode())
        for face in self.faces:
            digest.update(face.feature.tobytes())
            digest.update(face.source or b"")
        plain = digest.digest()
        return plain if gallery.seal is None else gallery.seal.blind(plain)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A face of another subject that looks like the one to enrol."""

    face: int
    """Which of the faces to enrol."""
    subject: str
    similarity: float
    """With as many decimals as every caller may know: it is answered, and refused with."""


@dataclass(frozen=True, slots=True)
class EnrolmentAnswer:
    """What was stored. `conflicts` are warnings; `repeated` where the key had come before."""

    enrolled: Enrolled
    conflicts: tuple[Conflict, ...]
    repeated: bool


class Enroller:
    """Adds faces to the subjects of one store. Thread-safe."""

    def __init__(self, store: GalleryStore, searcher: Searcher) -> None:
        self._store = store
        self._searcher = searcher

    def enrol(self, owner: str, gallery_name: str, enrolment: Enrolment) -> EnrolmentAnswer:
        """All of the faces or none; durable and searchable on return.

        Raises ContractMismatchError, FeatureInvalidError, LimitReachedError,
        SubjectNotFoundError, IdempotencyConflictError, and IdentityConflictError where the
        gallery's policy is to reject.
        """
        with self._store.read() as connection:
            gallery = galleries.get(connection, owner, gallery_name)
        check_contract(gallery, enrolment.contract_id)
        feature_type = self._store.options.feature_type
        packed = [features.packed(f, gallery.spec.dim, feature_type) for f in enrolment.faces]
        conflicts, seen = self._conflicts(gallery, enrolment)
        enrolled, repeated = self._store.write(
            lambda transaction: self._add(transaction, gallery, enrolment, packed, seen)
        )
        return EnrolmentAnswer(enrolled, conflicts, repeated)

    def _add(
        self,
        transaction: Transaction,
        gallery: Gallery,
        enrolment: Enrolment,
        packed: Sequence[PackedFace],
        seen: int | None,
    ) -> tuple[Enrolled, bool]:
        connection, owner = transaction.connection, gallery.owner
        # It may have moved to another recogniser since it was read.
        check_contract(galleries.get(connection, owner, gallery.name), enrolment.contract_id)
        key = enrolment.idempotency_key
        if key is not None:
            digest = enrolment.digest(gallery)
            before = idempotency.recall(connection, owner, key, digest)
            if before is not None:
                return _again(transaction, gallery, enrolment.key, before), True
        if seen is not None:
            self._look_at_newcomers(transaction, gallery, enrolment, seen)
        enrolled = self._store_faces(transaction, gallery, enrolment, packed)
        if enrolment.alongside is not None:
            enrolment.alongside(transaction, enrolled)
        if key is not None:
            uids = json.dumps([enrolled.revision, [face.uid for face in enrolled.faces]])
            idempotency.remember(connection, owner, key, digest, uids)
        return enrolled, False

    def _store_faces(
        self,
        transaction: Transaction,
        gallery: Gallery,
        enrolment: Enrolment,
        packed: Sequence[PackedFace],
    ) -> Enrolled:
        if enrolment.once:
            packed = _unknown(transaction, gallery, enrolment.key, packed)
        place = (transaction, gallery.owner, gallery.name, enrolment.key)
        if not packed:
            return operations.ensure_subject(*place, enrolment.create)
        feature_type = self._store.options.feature_type
        return operations.add_faces(*place, packed, feature_type, enrolment.create)

    def _conflicts(
        self, gallery: Gallery, enrolment: Enrolment
    ) -> tuple[tuple[Conflict, ...], int | None]:
        """Other subjects that look the same, and up to which face id they were looked for."""
        if gallery.spec.conflict == "off" or enrolment.conflict_from is None:
            return (), None
        conflicts: list[Conflict] = []
        seen: list[int] = []
        for number, face in enumerate(enrolment.faces):
            # The two nearest: the nearest may be the subject itself.
            found = self._searcher.nearest(gallery, face.feature, 2)
            seen.append(found.view.newest_id)
            similar = found.ranked.similarities >= enrolment.conflict_from
            conflicts += [
                Conflict(number, key, round(similarity, FEWEST_DIGITS))
                for key, similarity in self._keys(gallery, found.ranked.take(similar))
                if key != enrolment.key
            ]
        _decide(gallery, conflicts)
        return tuple(conflicts), min(seen, default=None)

    def _keys(self, gallery: Gallery, ranked: Ranked) -> list[tuple[str, float]]:
        ids = [int(subject_id) for subject_id in ranked.subject_ids]
        with self._store.read() as connection:
            who = subjects.by_ids(connection, gallery, ids)
        pairs = zip(ids, ranked.similarities, strict=True)
        return [(who[id_].key, float(similarity)) for id_, similarity in pairs if id_ in who]

    def _look_at_newcomers(
        self, transaction: Transaction, gallery: Gallery, enrolment: Enrolment, seen: int
    ) -> None:
        """Faces committed since the search, so that of two requests at once one is refused."""
        if gallery.spec.conflict != "reject" or enrolment.conflict_from is None:
            return
        connection = transaction.connection
        own = subjects.find(connection, gallery, enrolment.key)
        conflicts: list[Conflict] = []
        for rows in faces.read_after(connection, gallery, seen):
            for _, subject_id, blob in rows:
                if own is not None and subject_id == own.id:
                    continue
                similar = self._similar(blob, enrolment)
                who = subjects.by_ids(connection, gallery, [subject_id] if similar else [])
                conflicts += [
                    Conflict(number, who[subject_id].key, value) for number, value in similar
                ]
        _decide(gallery, conflicts)

    def _similar(self, blob: bytes, enrolment: Enrolment) -> list[tuple[int, float]]:
        row = features.unpacked(blob, self._store.options.feature_type).astype(np.float64)[None]
        found = []
        for number, face in enumerate(enrolment.faces):
            unit = face.feature / np.linalg.norm(face.feature.astype(np.float64))
            value = float(cosines(row, 1 / np.linalg.norm(row, axis=1), unit)[0])
            if enrolment.conflict_from is not None and value >= enrolment.conflict_from:
                found.append((number, value))
        return found


def check_contract(gallery: Gallery, contract_id: str) -> None:
    """Raises ContractMismatchError unless the features live in the gallery's space."""
    if contract_id != gallery.spec.contract_id:
        raise ContractMismatchError(
            f"this gallery keeps features of contract {gallery.spec.contract_id} alone"
        )


def _unknown(
    transaction: Transaction, gallery: Gallery, key: str, packed: Sequence[PackedFace]
) -> list[PackedFace]:
    """Those from photos that the subject has no face from yet, each photo once."""
    subject = subjects.find(transaction.connection, gallery, key)
    known: set[bytes] = set()
    fresh = []
    for one in packed:
        source = one.face.source
        if source is not None:
            if source in known or (
                subject is not None
                and faces.has_source(transaction.connection, gallery, subject, source)
            ):
                continue
            known.add(source)
        fresh.append(one)
    return fresh


def _decide(gallery: Gallery, conflicts: Sequence[Conflict]) -> None:
    if conflicts and gallery.spec.conflict == "reject":
        worst = max(conflicts, key=lambda conflict: conflict.similarity)
        raise IdentityConflictError(
            f"face {worst.face} looks like subject {worst.subject!r}",
            conflicts=[asdict(conflict) for conflict in conflicts],
        )


def _again(transaction: Transaction, gallery: Gallery, key: str, before: str) -> Enrolled:
    """What the first request of this key was answered, less what has been erased since."""
    revision, uids = json.loads(before)
    connection = transaction.connection
    subject = subjects.get(connection, gallery, key)
    found = (faces.find(connection, gallery, uid) for uid in uids)
    return Enrolled(subject, tuple(face for face in found if face is not None), revision)
