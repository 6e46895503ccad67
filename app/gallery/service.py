"""The gallery as a whole: what can be asked of it, by owner. Plain Python, no HTTP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.errors import EnrolledFaceNotFoundError, IdentifyDisabledError, InputError
from app.gallery import aggregate, cursor, features, names, operations
from app.gallery.database import one_state
from app.gallery.dossier import Dossier, dossier
from app.gallery.enrolment import Enroller, Enrolment, EnrolmentAnswer, check_contract
from app.gallery.erasure import Eraser, Receipt
from app.gallery.export import export
from app.gallery.health.examiner import Examiner, HealthPlan
from app.gallery.health.findings import Kind, Report
from app.gallery.health.naming import Named, named
from app.gallery.index.codes import Queries
from app.gallery.mover import Mover
from app.gallery.rows import faces, galleries, subjects
from app.gallery.search import Searcher, SearchOptions
from app.gallery.store import GalleryStore
from app.gallery.types import (
    Aggregate,
    Gallery,
    GallerySpec,
    Holdings,
    SearchAnswer,
    StoredFace,
    Subject,
    SubjectSpec,
)
from app.rates.own import OwnRates
from app.security.audit.event import Detail, Event
from app.telemetry.meters import SILENT, Meters

T = TypeVar("T")
MAX_K = 1000
MAX_PAGE = 1000
MAX_FACES_AT_ONCE = 20
"""In one request; a subject in an export may have more."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the gallery is, at no cost."""

    ready: bool
    reason: str | None


class GalleryService:
    """Composes store, search, enrolment and erasure. Thread-safe."""

    def __init__(
        self,
        store: GalleryStore,
        threads: int = 2,
        bound: int = 1024,
        meters: Meters = SILENT,
        plan: HealthPlan | None = None,
    ) -> None:
        """`threads` scan; more than `bound` waiting searches are refused."""
        self._store = store
        self._searcher = Searcher(store, threads, bound, meters)
        self._enroller = Enroller(store, self._searcher)
        self._eraser = Eraser(store)
        self.mover = Mover(store)
        self._audit = store.options.audit
        self.health = Examiner(store, plan or HealthPlan())

    @property
    def store(self) -> GalleryStore:
        """The files themselves: for jobs, exports and backups."""
        return self._store

    def close(self) -> None:
        self.health.close()
        self._searcher.close()
        self._store.close()

    def status(self) -> Status:
        failure = self._store.writer.failure
        return Status(failure is None, None if failure is None else failure.message)

    def holdings(self, contract_id: str) -> dict[str, Holdings]:
        """How much all owners have enrolled, under this contract ("current") and "other" ones."""
        with self._store.read() as connection:
            return galleries.holdings(connection, contract_id)

    # Galleries

    def create_gallery(self, owner: str, spec: GallerySpec) -> Gallery:
        """Raises GalleryExistsError, InputError."""
        names.checked(spec.name, "gallery")
        self._audit.check()
        made = self._store.write(lambda t: operations.create_gallery(t, owner, spec))
        details: dict[str, Detail] = {
            "identify": spec.identify,
            "vault": spec.policy.vault,
            "contract": spec.contract_id,
        }
        self._audit.record(Event("gallery.created", owner, spec.name, details=details))
        return made

    def gallery(self, owner: str, name: str) -> Gallery:
        """Raises GalleryNotFoundError."""
        with self._store.read() as connection:
            return galleries.get(connection, owner, name)

    def gallery_and_rates(self, owner: str, name: str) -> tuple[Gallery, OwnRates | None]:
        """With its own error rates, where they are known. Raises GalleryNotFoundError."""
        found = self.gallery(owner, name)
        return found, self.health.own(found)

    def galleries(
        self, owner: str, after: str | None, limit: int
    ) -> tuple[list[Gallery], str | None]:
        """A page by name, and the cursor of the next one."""
        listing = f"{owner}/galleries"
        start = cursor.decode(self._store.epoch, listing, after)
        with self._store.read() as connection:
            # What is being erased has a name before all that can be asked for.
            found = galleries.page(connection, owner, start or " ", _page(limit) + 1)
        return self._cut(found, limit, listing, lambda gallery: gallery.name)

    def change_gallery(
        self,
        owner: str,
        name: str,
        change: Callable[[Gallery], GallerySpec],
        version: int | None = None,
    ) -> Gallery:
        """Reads, changes and writes its terms in one transaction. `version` makes it conditional:
        PreconditionFailedError where the gallery is at another. Raises InputError. Where it closes
        the vault, what is in it cannot be opened from now on, and leaves the files soon."""
        self._audit.check()
        changed = self._store.write(
            lambda t: operations.change_gallery(t, owner, name, change, version)
        )
        details = {
            "identify": changed.spec.identify,
            "vault": changed.spec.policy.vault,
            "version": changed.version,
        }
        self._audit.record(Event("gallery.changed", owner, name, details=details))
        if not changed.spec.policy.vault:
            self._store.keeper.purge()
        return changed

    def health_page(
        self, owner: str, name: str, kind: Kind, after: str | None, limit: int
    ) -> tuple[Report | None, list[Named], str | None]:
        """A page of one kind of findings, worst first, and the cursor of the next one.

        Empty before the first examination. Raises CursorInvalidError where the gallery has been
        examined anew since the page before.
        """
        found = self.gallery(owner, name)
        report = self.health.health(found).report
        if report is None:
            return None, [], None
        listing = f"{owner}/{found.uid}/health/{report.uid}/{kind}"
        start = int(cursor.decode(self._store.epoch, listing, after) or 0)
        stop = start + _page(limit)
        worst = report.found[kind].worst
        with self._store.read() as connection:
            page = named(connection, found, worst[start:stop])
        more = stop < len(worst)
        following = cursor.encode(self._store.epoch, listing, str(stop)) if more else None
        return report, page, following

    def erase_gallery(self, owner: str, name: str, version: int | None = None) -> Receipt:
        """With everybody in it."""
        return self._eraser.gallery(owner, name, version)

    # Subjects

    def put_subject(
        self, owner: str, gallery: str, key: str, spec: SubjectSpec, version: int | None = None
    ) -> tuple[Subject, bool]:
        """Creates or replaces; the subject and whether it is new. `version` makes it conditional:
        PreconditionFailedError where the subject is at another (0: where it exists)."""
        return self.change_subject(owner, gallery, key, lambda _: spec, version)

    def change_subject(
        self,
        owner: str,
        gallery: str,
        key: str,
        change: Callable[[Subject | None], SubjectSpec],
        version: int | None = None,
    ) -> tuple[Subject, bool]:
        """Reads, changes and writes in one transaction. `change` may raise to refuse."""
        names.checked(key, "subject")

        def tidied(before: Subject | None) -> SubjectSpec:
            spec = change(before)
            return replace(spec, tags=names.checked_tags(spec.tags))

        self._audit.check()
        subject, new = self._store.write(
            lambda t: operations.upsert_subject(t, owner, gallery, key, tidied, version)
        )
        action = "subject.created" if new else "subject.changed"
        self._audit.record(Event(action, owner, gallery, key, {"version": subject.version}))
        return subject, new

    def subject(self, owner: str, gallery: str, key: str) -> Subject:
        """Raises SubjectNotFoundError."""
        with self._store.read() as connection:
            return subjects.get(connection, galleries.get(connection, owner, gallery), key)

    def subjects(
        self, owner: str, gallery: str, after: str | None, limit: int
    ) -> tuple[list[Subject], str | None]:
        """A page by key, and the cursor of the next one; stable while others come and go."""
        with self._store.read() as connection:
            found = galleries.get(connection, owner, gallery)
            listing = f"{owner}/{found.uid}/subjects"
            start = cursor.decode(self._store.epoch, listing, after)
            page = subjects.page(connection, found, start, _page(limit) + 1)
        return self._cut(page, limit, listing, lambda subject: subject.key)

    def erase_subject(
        self, owner: str, gallery: str, key: str, version: int | None = None
    ) -> Receipt:
        """Raises SubjectNotFoundError, PreconditionFailedError."""
        return self._eraser.subject(owner, gallery, key, version)

    # Faces

    def enrol(self, owner: str, gallery: str, enrolment: Enrolment) -> EnrolmentAnswer:
        """Adds faces to a subject: see Enroller.enrol."""
        names.checked(enrolment.key, "subject")
        self._audit.check()
        answer = self._enroller.enrol(owner, gallery, enrolment)
        details = {
            "faces": len(answer.enrolled.faces),
            "revision": answer.enrolled.revision,
            "conflicts": len(answer.conflicts),
            "repeated": answer.repeated,
        }
        self._audit.record(Event("subject.enrolled", owner, gallery, enrolment.key, details))
        return answer

    def faces(self, owner: str, gallery: str, key: str) -> list[StoredFace]:
        """A subject's faces, oldest first; there are few by the gallery's limit."""
        with self._store.read() as connection:
            found = galleries.get(connection, owner, gallery)
            return faces.of_subject(connection, found, subjects.get(connection, found, key))

    def erase_face(self, owner: str, gallery: str, key: str, uid: str) -> Receipt:
        """Raises EnrolledFaceNotFoundError."""
        return self._eraser.face(owner, gallery, key, uid)

    def face_feature(self, owner: str, gallery: str, uid: str) -> NDArray[np.float32]:
        """The stored raw feature, float32 (D,). Raises EnrolledFaceNotFoundError."""
        with self._store.read() as connection:
            found = galleries.get(connection, owner, gallery)
            face = faces.find(connection, found, uid)
            if face is None:
                raise EnrolledFaceNotFoundError("there is no such face in this gallery")
            blob = faces.feature(connection, found, face)
        return features.unpacked(blob, self._store.options.feature_type)

    # Out

    def dossier(self, owner: str, gallery: str, key: str) -> Dossier:
        """All that is held about one subject. Raises SubjectNotFoundError, AuditFailedError."""
        self._audit.check()
        with self._store.read() as connection, one_state(connection):
            found = galleries.get(connection, owner, gallery)
            held = dossier(connection, found, key)
        self._audit.record(Event("subject.exported", owner, gallery, key))
        return held

    def export(self, owner: str, name: str) -> Iterator[str]:
        """A gallery's lines: see `export.export`. Raises GalleryNotFoundError, AuditFailedError."""
        self._audit.check()
        faces_now = self.gallery(owner, name).faces
        self._audit.record(Event("gallery.exported", owner, name, details={"faces": faces_now}))
        return export(self._store, owner, name)

    # Search

    def search(
        self,
        owner: str,
        gallery: str,
        feature: NDArray[np.float32],
        contract_id: str,
        options: SearchOptions,
    ) -> SearchAnswer:
        """1:N: the subjects most like the probe, a raw feature, best first.

        Raises IdentifyDisabledError, ContractMismatchError, FeatureInvalidError, BusyError.
        """
        found = self.gallery(owner, gallery)
        check_identify(found)
        check_contract(found, contract_id)
        features.checked(feature, found.spec.dim)
        if not 1 <= options.k <= MAX_K:
            raise InputError(f"1 to {MAX_K} subjects can be asked for")
        answer = self._searcher.search(found, feature, options)
        details = {"among": answer.faces, "answered": len(answer.matches)}
        self._audit.note(Event("gallery.searched", owner, gallery, details=details))
        return answer

    def search_subject(
        self, owner: str, gallery: str, key: str, options: SearchOptions
    ) -> SearchAnswer:
        """Who else looks like this subject (by the sum of its features)?"""
        found, rows = self._features(owner, gallery, key)
        probe = rows.sum(axis=0).astype(np.float32)
        wider = replace(options, k=min(options.k + 1, MAX_K))
        answer = self.search(owner, gallery, probe, found.spec.contract_id, wider)
        others = tuple(match for match in answer.matches if match.subject.key != key)
        return replace(answer, matches=others[: options.k])

    def likeness(
        self,
        owner: str,
        gallery: str,
        key: str,
        feature: NDArray[np.float32],
        contract_id: str,
        how: Aggregate,
        score: aggregate.Score,
    ) -> aggregate.Likeness:
        """1:1: the probe against an enrolled subject, each face scored by its norm.

        Raises SubjectNotFoundError, also for a subject without faces, ContractMismatchError,
        FeatureInvalidError.
        """
        found, rows = self._features(owner, gallery, key)
        check_contract(found, contract_id)
        probe = features.checked(feature, found.spec.dim)
        self._audit.note(Event("subject.compared", owner, gallery, key))
        return aggregate.likeness(Queries.of(probe[None]).unit[0], rows, how, score)

    def _features(self, owner: str, gallery: str, key: str) -> tuple[Gallery, NDArray[np.float64]]:
        with self._store.read() as connection, one_state(connection):
            found = galleries.get(connection, owner, gallery)
            subject = subjects.get(connection, found, key)
            blobs = faces.features(connection, found, subject.id)
        if not blobs:
            raise EnrolledFaceNotFoundError("this subject has no face")
        stack = np.frombuffer(b"".join(blobs), self._store.options.feature_type)
        return found, stack.reshape(len(blobs), -1).astype(np.float64)

    def _cut(
        self, found: list[T], limit: int, listing: str, name: Callable[[T], str]
    ) -> tuple[list[T], str | None]:
        """The page, and the cursor behind it where there is more."""
        if len(found) <= limit:
            return found, None
        page = found[:limit]
        return page, cursor.encode(self._store.epoch, listing, name(page[-1]))


def check_identify(gallery: Gallery) -> None:
    """Raises IdentifyDisabledError unless the gallery may be searched."""
    if not gallery.spec.identify:
        raise IdentifyDisabledError("this gallery does not allow identify: only 1:1 is answered")


def _page(limit: int) -> int:
    if not 1 <= limit <= MAX_PAGE:
        raise InputError(f"a page has 1 to {MAX_PAGE} entries")
    return limit
