"""One gallery's faces in memory, following the database change by change."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.gallery.index.segment import FULL, Part, Segment, View, copy_rows

COMPACT_FROM = 0.25
"""Share of dead rows at which a sealed segment is rewritten without them."""


class Projection:
    """Changed by the writer alone; `view` may be taken by anyone at any time."""

    def __init__(
        self, dim: int, feature_type: str, parts: Sequence[Part] = (), segment_rows: int = FULL
    ) -> None:
        self._dim = dim
        self._segment_rows = segment_rows
        self._feature_type = feature_type
        self.view = View(tuple(parts), 0)

    def add(
        self,
        revision: int,
        ids: NDArray[np.int64],
        subjects: NDArray[np.int64],
        features: NDArray[Any],
    ) -> None:
        """Appends faces, whose ids exceed all before them."""
        parts = list(self.view.parts)
        done = 0
        while done < len(ids):
            if not parts or parts[-1].segment.full:
                parts.append(
                    Part(Segment(self._dim, self._feature_type, 0, self._segment_rows), 0, None, 0)
                )
            last = parts[-1]
            stop = min(done + self._segment_rows - last.rows, len(ids))
            segment = last.segment.grown(last.rows + stop - done)
            segment.append(ids[done:stop], subjects[done:stop], features[done:stop])
            parts[-1] = last.extended(segment)
            done = stop
        self.view = View(tuple(parts), revision)

    def remove(self, revision: int, ids: NDArray[np.int64]) -> None:
        """Hides faces from every search that begins from now on."""
        parts = [self._without(part, ids) for part in self.view.parts]
        self.view = View(tuple(part for part in parts if part is not None), revision)

    def _without(self, part: Part, ids: NDArray[np.int64]) -> Part | None:
        rows = _living_rows(part, ids)
        if not len(rows):
            return part
        less = part.without(rows)
        if not part.segment.full or less.dead < COMPACT_FROM * less.rows:
            return less
        return compacted(less)

    def touch(self, revision: int) -> None:
        """A change that moved no face."""
        self.view = View(self.view.parts, revision)

    def replace(self, old: Segment, new: Part) -> None:
        """Puts a part in another's place; the rows alive in both must be the same."""
        parts = (new if part.segment is old else part for part in self.view.parts)
        self.view = View(tuple(parts), self.view.revision)


def compacted(part: Part) -> Part | None:
    """A part with the living rows only; None where there are none."""
    rows = np.flatnonzero(part.alive_mask())
    if not len(rows):
        return None
    segment = Segment(part.segment.dim, part.segment.features.dtype.name, len(rows))
    copy_rows(part.segment, segment, rows)
    segment.sealed = True
    return Part(segment, segment.rows, None, 0)


def locate(view: View, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(part, row) of each of the faces that are alive in the view; others are left out."""
    parts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    rows: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for number, part in enumerate(view.parts):
        here = _living_rows(part, ids)
        parts.append(np.full(len(here), number, np.int64))
        rows.append(here)
    return np.concatenate(parts), np.concatenate(rows)


def _living_rows(part: Part, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of those of the ids, each given once, that the part has and that are alive."""
    held = part.segment.ids[: part.rows]
    at = np.searchsorted(held, ids)
    inside = at < part.rows
    at, ids = at[inside], ids[inside]
    at = at[held[at] == ids]
    living: NDArray[np.int64] = at[part.alive_mask()[at]]
    return living
