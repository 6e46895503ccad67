"""A run of faces in order of id: their stored features, and 8-bit codes to scan.

Only the writer appends, and rows already published never change, so readers need no lock: they
hold a `Part` that says how many rows they may see and which of them are gone.
"""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from app.gallery.index import codes

FULL = 32_768
"""Rows at which a segment is sealed, by default: about 50 MB at D = 512, rewritten on disk when
one of them is erased."""
FIRST = 64
SPIKY = 0.03
"""Rows whose code is worse than this are compared exactly in every search; random unit vectors
stay near 0.013."""


class Segment:
    """Capacity for some rows; `append` fills it."""

    def __init__(self, dim: int, feature_type: str, capacity: int, limit: int = FULL) -> None:
        """Rows up to `limit`; room for `capacity` of them."""
        self.dim = dim
        self.limit = limit
        self.capacity = capacity
        self.rows = 0
        self.sealed = False
        """Takes no more rows though it is not full: it has been rewritten without its dead."""
        self.ids = np.zeros(capacity, np.int64)
        self.subjects = np.zeros(capacity, np.int64)
        self.features: NDArray[Any] = np.zeros((capacity, dim), feature_type)
        self.inverse_norms = np.zeros(capacity, np.float64)
        self.residual = 0.0
        """The worst ‖v − v̂‖ among the rows that are not spiky."""
        self.spiky: NDArray[np.int64] = np.zeros(0, np.int64)
        self.fast: faiss.IndexPQFastScan | None = None
        """Codes of the fast tier, once they have been made (fast.py)."""
        self.scanner = faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
        )
        self.scanner.codes.resize(capacity * dim)
        self.codes: NDArray[np.uint8] = faiss.rev_swig_ptr(
            self.scanner.codes.data(), capacity * dim
        ).reshape(capacity, dim)

    @property
    def full(self) -> bool:
        return self.sealed or self.rows >= self.limit

    def append(
        self,
        ids: NDArray[np.int64],
        subjects: NDArray[np.int64],
        features: NDArray[Any],
    ) -> None:
        """Adds rows; there must be room. Visible to readers once a `Part` counts them."""
        wide = features.astype(np.float64)
        inverse = 1 / np.linalg.norm(wide, axis=1)
        coded = codes.encode((wide * inverse[:, None]).astype(np.float32))
        rows = slice(self.rows, self.rows + len(ids))
        self.ids[rows] = ids
        self.subjects[rows] = subjects
        self.features[rows] = features
        self.inverse_norms[rows] = inverse
        self.codes[rows] = coded.codes
        self._note_residuals(coded.residual)
        self.published(rows.stop)

    def _note_residuals(self, residual: NDArray[np.float32]) -> None:
        spiky = residual > SPIKY
        if spiky.any():
            self.spiky = np.concatenate([self.spiky, self.rows + np.flatnonzero(spiky)])
        if not spiky.all():
            self.residual = max(self.residual, float(residual[~spiky].max()))

    def published(self, rows: int) -> None:
        """Lets FAISS see the first `rows` rows."""
        self.rows = rows
        self.scanner.ntotal = rows

    def grown(self, needed: int) -> "Segment":
        """This one where it has room for as many rows, or else a larger copy."""
        if self.capacity >= needed:
            return self
        capacity = FIRST
        while capacity < needed:
            capacity *= 2
        larger = Segment(self.dim, self.features.dtype.name, min(capacity, self.limit), self.limit)
        copy_rows(self, larger, np.arange(self.rows))
        return larger


def copy_rows(source: Segment, target: Segment, rows: NDArray[np.int64]) -> None:
    """Appends some rows of one segment to another, codes and all."""
    into = slice(target.rows, target.rows + len(rows))
    target.ids[into] = source.ids[rows]
    target.subjects[into] = source.subjects[rows]
    target.features[into] = source.features[rows]
    target.inverse_norms[into] = source.inverse_norms[rows]
    target.codes[into] = source.codes[rows]
    kept = np.flatnonzero(np.isin(rows, source.spiky))
    target.spiky = np.concatenate([target.spiky, target.rows + kept])
    target.residual = max(target.residual, source.residual)
    target.published(into.stop)


@dataclass(frozen=True, slots=True)
class Part:
    """What a reader sees of a segment: its first `rows` rows, less the dead ones.

    `alive` is a bitmap (least significant bit first) or None where none is dead.
    """

    segment: Segment
    rows: int
    alive: NDArray[np.uint8] | None
    dead: int

    def alive_mask(self) -> NDArray[np.bool_]:
        """bool (rows,)."""
        if self.alive is None:
            return np.ones(self.rows, np.bool_)
        return np.unpackbits(self.alive, count=self.rows, bitorder="little").astype(np.bool_)

    def without(self, rows: NDArray[np.int64]) -> "Part":
        """The same with these rows, alive until now, dead."""
        mask = self.alive_mask()
        mask[rows] = False
        # A bitmap for the whole capacity: rows published later are alive.
        bits = np.ones(self.segment.capacity, np.bool_)
        bits[: self.rows] = mask
        return Part(
            self.segment, self.rows, np.packbits(bits, bitorder="little"), self.dead + len(rows)
        )

    def extended(self, segment: Segment) -> "Part":
        """The same after `segment`, this one or its larger copy, has been appended to."""
        alive = self.alive
        if alive is not None and segment.capacity > self.segment.capacity:
            bits = np.ones(segment.capacity, np.bool_)
            bits[: self.rows] = self.alive_mask()
            alive = np.packbits(bits, bitorder="little")
        return Part(segment, segment.rows, alive, self.dead)


@dataclass(frozen=True, slots=True)
class View:
    """One state of a gallery's index: what a search works on from beginning to end."""

    parts: tuple[Part, ...]
    revision: int

    @property
    def faces(self) -> int:
        return sum(part.rows - part.dead for part in self.parts)

    @property
    def newest_id(self) -> int:
        """The highest face id, dead or alive; 0 where there is none."""
        last = self.parts[-1] if self.parts else None
        return int(last.segment.ids[last.rows - 1]) if last is not None and last.rows else 0
