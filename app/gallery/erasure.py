"""Erasing people: out of every search at once, out of every file before the receipt says so."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import NormaError
from app.gallery import operations
from app.gallery.operations import Erased
from app.gallery.rows.common import now
from app.gallery.store import GalleryStore
from app.gallery.writer import Transaction
from app.security.audit.event import Event, Head

PATIENCE_SECONDS = 60.0
_log = logging.getLogger("norma.gallery")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased. `uid` is the tombstone's, which says nothing about the person.

    `purged`: no file of the data directory holds it any more. Where False, it is gone from every
    search and list, but housekeeping could not finish yet (no space, a backup running) and goes on.
    """

    uid: str
    faces: int
    revision: int
    erased_at: int
    purged: bool
    audit: Head | None
    """Its place in the audit log; None where that could not be written yet."""


class Eraser:
    """Erases from one store. Thread-safe."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store

    def face(self, owner: str, gallery: str, key: str, uid: str) -> Receipt:
        erased = self._erase(lambda t: operations.erase_face(t, owner, gallery, key, uid))
        return self._receipt(erased, erased.event("face.erased", owner, gallery, key))

    def subject(self, owner: str, gallery: str, key: str, version: int | None = None) -> Receipt:
        erased = self._erase(lambda t: operations.erase_subject(t, owner, gallery, key, version))
        return self._receipt(erased, erased.event("subject.erased", owner, gallery, key))

    def gallery(self, owner: str, name: str, version: int | None = None) -> Receipt:
        """With everybody in it; takes a while for a large one."""
        doomed = self._store.write(
            lambda t: operations.doom_gallery(t, owner, name, version), erases=True
        )
        self._store.projections.drop(doomed)
        erased = Erased(doomed.uid, doomed.faces, doomed.revision + 1, now())
        return self._receipt(erased, erased.event("gallery.erased", owner, name), patience=None)

    def _erase(self, operation: Callable[[Transaction], Erased]) -> Erased:
        return self._store.write(operation, erases=True)

    def _receipt(
        self, erased: Erased, event: Event, patience: float | None = PATIENCE_SECONDS
    ) -> Receipt:
        """Nothing keeps an erasure from being done, a full audit log neither."""
        head = self._store.options.audit.record(event)
        try:
            self._store.keeper.purge().result(patience)
            purged = True
        except (NormaError, OSError, TimeoutError) as error:
            _log.warning("erased, but not yet from every file: %s", error)
            purged = False
        return Receipt(erased.uid, erased.faces, erased.revision, erased.erased_at, purged, head)
