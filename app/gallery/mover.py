"""Moves galleries of one store to another recogniser, and says how far they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.errors import NormaError
from app.gallery import features, moving
from app.gallery.comparison import FACES, PEOPLE, Comparison, compare
from app.gallery.database import Connection, one_state
from app.gallery.rows import galleries, moves, vault
from app.gallery.rows.moves import Move, Other, Waiting
from app.gallery.store import GalleryStore
from app.gallery.types import Gallery, NewFace
from app.security.audit.event import Detail, Event

LISTED = 100
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a gallery's move is. `lost` faces, without a picture in the vault, hold it up;
    `listed` are the first of them."""

    gallery: Gallery
    move: Move
    computed: int
    lost: int
    listed: tuple[Waiting, ...]
    comparison: Comparison | None
    """None before two faces can be compared."""


class Mover:
    """Thread-safe."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self._audit = store.options.audit

    def begin(self, owner: str, name: str, contract_id: str, dim: int) -> Gallery:
        """Raises as `moving.begin`."""
        self._audit.check()
        gallery, _ = self._store.write(lambda t: moving.begin(t, owner, name, contract_id, dim))
        details = {"from": gallery.spec.contract_id, "to": contract_id}
        self._audit.record(Event("gallery.move_begun", owner, name, details=details))
        return gallery

    def pictures(self, owner: str, name: str, most: int) -> tuple[Gallery, Move, dict[int, bytes]]:
        """Keepsakes of up to `most` faces, by id, that lack a feature on the other side.

        Raises MoveNotFoundError.
        """
        with self._store.read() as connection, one_state(connection):
            gallery, move = _found(connection, owner, name)
            waiting = moves.waiting(connection, gallery, kept=True, limit=most)
            kept = {one.id: vault.of_face(connection, gallery, one.id) for one in waiting}
        return gallery, move, {id_: one for id_, one in kept.items() if one is not None}

    def keep(self, gallery: Gallery, move: Move, computed: Mapping[int, NewFace]) -> None:
        """Features for the other side, by face id. Raises FeatureInvalidError."""
        feature_type = self._store.options.feature_type
        packed = {id_: features.packed(f, move.dim, feature_type) for id_, f in computed.items()}
        others = [
            Other(id_, one.norm, one.face.quality, one.feature) for id_, one in packed.items()
        ]
        self._store.write(lambda t: moving.put(t, gallery, move, others))

    def lost(self, owner: str, name: str, most: int) -> list[Waiting]:
        """The first `most` of the faces without a picture. Raises MoveNotFoundError."""
        with self._store.read() as connection:
            gallery, _ = _found(connection, owner, name)
            return moves.waiting(connection, gallery, kept=False, limit=most)

    def progress(self, owner: str, name: str) -> Progress:
        """Raises MoveNotFoundError."""
        with self._store.read() as connection, one_state(connection):
            gallery, move = _found(connection, owner, name)
            computed, lost = moves.count(connection, gallery)
            listed = moves.waiting(connection, gallery, kept=False, limit=LISTED)
            drawn = moves.sample(connection, gallery, move, PEOPLE, FACES)
        comparison = self._compared(drawn) if len(drawn) > 1 else None
        return Progress(gallery, move, computed, lost, tuple(listed), comparison)

    def _compared(self, drawn: list[tuple[int, bytes, bytes]]) -> Comparison:
        subjects, here, there = zip(*drawn, strict=True)
        kind = self._store.options.feature_type
        stacks = [
            np.frombuffer(b"".join(blobs), kind).reshape(len(drawn), -1).astype(np.float32)
            for blobs in (here, there)
        ]
        return compare(stacks[0], stacks[1], np.array(subjects, np.int64))

    def cut_over(self, owner: str, name: str, *, back: bool) -> Gallery:
        """Raises as `moving.cut_over`."""
        self._audit.check()
        index = self._store.projections
        moved = self._store.write(lambda t: moving.cut_over(t, owner, name, index, back=back))
        details: dict[str, Detail] = {"contract": moved.spec.contract_id, "back": back}
        self._audit.record(Event("gallery.moved", owner, name, details=details))
        return moved

    def finish(self, owner: str, name: str) -> bool:
        """Erases the side that is not in use; whether it is gone from every file already.

        Raises MoveNotFoundError.
        """
        self._audit.check()
        with self._store.read() as connection:
            gallery, _ = _found(connection, owner, name)
        while self._store.write(partial(moving.erase_other_side, gallery=gallery), erases=True):
            pass
        self._audit.record(Event("gallery.move_finished", owner, name))
        try:
            self._store.keeper.purge().result(PATIENCE_SECONDS)
        except (NormaError, OSError, TimeoutError):
            return False
        return True


def _found(connection: Connection, owner: str, name: str) -> tuple[Gallery, Move]:
    gallery = galleries.get(connection, owner, name)
    return gallery, moves.get(connection, gallery)
