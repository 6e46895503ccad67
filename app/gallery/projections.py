"""All galleries' indexes, each following the database."""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from app.errors import BusyError, NotReadyError
from app.gallery.index.projection import Projection
from app.gallery.index.segment import Part
from app.gallery.rows import faces
from app.gallery.types import Gallery
from app.gallery.writer import Change

_log = logging.getLogger("norma.gallery")


class Projections:
    """Gallery id → index. `apply` is called by the writer alone, after each commit."""

    def __init__(self, feature_type: str, segment_rows: int) -> None:
        self._segment_rows = segment_rows
        self._feature_type = feature_type
        self._of: dict[int, tuple[str, Projection]] = {}
        self._sealed: set[int] = set()

    def get(self, gallery: Gallery) -> Projection:
        """Raises NotReadyError where the index has been given up after a failure, BusyError where
        the gallery has moved to another contract since it was read."""
        try:
            contract_id, projection = self._of[gallery.id]
        except KeyError:
            raise NotReadyError(f"the index of {gallery.name!r} is not loaded") from None
        if contract_id != gallery.spec.contract_id:
            raise BusyError("the gallery has just moved to another recogniser; ask again")
        return projection

    def open(self, gallery: Gallery, parts: Sequence[Part] = ()) -> Projection:
        """A gallery's index, empty or with what a snapshot holds."""
        projection = self._new(gallery.spec.dim, parts)
        self._of[gallery.id] = (gallery.spec.contract_id, projection)
        return projection

    def _new(self, dim: int, parts: Sequence[Part] = ()) -> Projection:
        return Projection(dim, self._feature_type, parts, self._segment_rows)

    def built(
        self,
        dim: int,
        revision: int,
        ids: Sequence[int],
        subjects: Sequence[int],
        features: Sequence[bytes],
    ) -> Projection:
        """An index that is nobody's yet."""
        projection = self._new(dim)
        stack = np.frombuffer(b"".join(features), self._feature_type).reshape(len(ids), dim)
        projection.add(revision, np.array(ids, np.int64), np.array(subjects, np.int64), stack)
        return projection

    def all(self) -> list[Projection]:
        return [projection for _, projection in self._of.values()]

    def find(self, gallery: Gallery) -> Projection | None:
        contract_id, projection = self._of.get(gallery.id, (None, None))
        return projection if contract_id == gallery.spec.contract_id else None

    def drop(self, gallery: Gallery) -> None:
        self._of.pop(gallery.id, None)

    def catch_up(
        self, connection: sqlite3.Connection, gallery: Gallery, projection: Projection, after: int
    ) -> None:
        """Adds the gallery's faces with higher ids from the database."""
        for rows in faces.read_after(connection, gallery, after):
            ids, subject_ids, blobs = zip(*rows, strict=True)
            stack = np.frombuffer(b"".join(blobs), self._feature_type)
            projection.add(
                gallery.revision,
                np.array(ids, np.int64),
                np.array(subject_ids, np.int64),
                stack.reshape(len(ids), -1),
            )
        projection.touch(gallery.revision)

    def take_sealed(self) -> set[int]:
        """Galleries in which a segment has been sealed since the last call."""
        taken, self._sealed = self._sealed, set()
        return taken

    def apply(self, changes: Sequence[Change]) -> None:
        """Follows committed changes in order. An index that fails is given up, not trusted."""
        for change in _joined(changes):
            if change.opens is not None:
                contract_id = change.opens.contract_id
                projection = change.opens.index or self._new(change.opens.dim)
            elif change.gallery_id in self._of:
                contract_id, projection = self._of[change.gallery_id]
            else:
                continue
            try:
                before = len(projection.view.parts)
                _follow(projection, change)
                if len(projection.view.parts) > before > 0 or change.opens is not None:
                    self._sealed.add(change.gallery_id)
                self._of[change.gallery_id] = (contract_id, projection)
            except Exception:
                _log.exception("index of gallery %d failed and is given up", change.gallery_id)
                self._of.pop(change.gallery_id, None)


def _follow(projection: Projection, change: Change) -> None:
    if not len(change.face_ids):
        projection.touch(change.revision)
    elif change.features is None:
        projection.remove(change.revision, change.face_ids)
    else:
        projection.add(change.revision, change.face_ids, change.subject_ids, change.features)


def _joined(changes: Sequence[Change]) -> Iterator[Change]:
    """Neighbouring additions to one gallery as one: what a storm of single enrolments becomes."""
    for _, group in groupby(changes, key=lambda c: (c.gallery_id, c.features is None, c.opens)):
        run = list(group)
        if run[0].features is None or run[0].opens is not None or len(run) == 1:
            yield from run
            continue
        stacks = [change.features for change in run if change.features is not None]
        yield Change(
            run[0].gallery_id,
            run[-1].revision,
            np.concatenate([change.face_ids for change in run]),
            np.concatenate([change.subject_ids for change in run]),
            np.concatenate(stacks),
        )
