"""Exact search: scan 8-bit codes, compare the best candidates exactly, prove that none is missed.

A row that the scan left out scored at most as high as the worst candidate (the horizon), and a
scan is wrong by at most a known error (codes.py). So where the k-th answer lies above horizon +
error, it is the true k-th. Where it does not, a second scan fetches every row that could still
belong in the answer. Both give what comparing with every face in double precision would give.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.gallery.index.codes import Queries
from app.gallery.index.pool import Numbered, ScanPool
from app.gallery.index.rescore import Ranked, rank
from app.gallery.index.scan import (
    BATCH_FROM,
    BatchScan,
    Candidates,
    Product,
    above_by_faiss,
    top_by_faiss,
)
from app.gallery.index.segment import Part, View

MINIMUM = 128
"""Candidates of one probe; few enough to compare in a fraction of a scan's time."""

Allowed = tuple[NDArray[np.uint8], ...]
"""For each part of a view a bitmap of the rows that a filter lets through."""


@dataclass(frozen=True, slots=True)
class Want:
    """How many answers one probe asks for, of which kind, from which rows."""

    k: int
    by_subject: bool
    allowed: Allowed | None = None

    @property
    def candidates(self) -> int:
        return max(MINIMUM, 4 * self.k)


class ExactSearch:
    """Thread-safe; holds nothing but the means."""

    def __init__(self, pool: ScanPool) -> None:
        self._pool = pool
        self._product = Product()

    def search(self, view: View, queries: Queries, wants: Sequence[Want]) -> list[Ranked]:
        """For each probe its best faces, or the best face of each of its best subjects."""
        answers: list[Ranked | None] = [None] * len(wants)
        open_ = np.array([n for n, want in enumerate(wants) if want.allowed is None], np.int64)
        if len(open_) >= BATCH_FROM:
            k = max(wants[n].candidates for n in open_)
            for n, found in zip(open_, self._batch(view, queries.take(open_), k), strict=True):
                answers[n] = self._finish(view, queries.take(slice(n, n + 1)), wants[n], found, k)
        return [
            self._alone(view, queries.take(slice(n, n + 1)), wants[n], wants[n].candidates)
            if answer is None
            else answer
            for n, answer in enumerate(answers)
        ]

    def _batch(self, view: View, queries: Queries, k: int) -> list[Candidates]:
        def work(share: Sequence[Numbered]) -> list[Candidates]:
            scan = BatchScan(self._product, queries, k)
            for number, part in share:
                scan.scan(number, part)
            return scan.result()

        shares = self._pool.over(view.parts, work)
        return [
            Candidates.join([share[n] for share in shares]).best(k) for n in range(len(queries))
        ]

    def _alone(self, view: View, query: Queries, want: Want, k: int) -> Ranked:
        def work(share: Sequence[Numbered]) -> Candidates:
            return Candidates.join(
                [
                    found
                    for number, part in share
                    for found in top_by_faiss(number, part, query, k, _of(want.allowed, number))
                ]
            ).best(k)

        found = Candidates.join(self._pool.over(view.parts, work)).best(k)
        return self._finish(view, query, want, found, k)

    def _finish(self, view: View, query: Queries, want: Want, found: Candidates, k: int) -> Ranked:
        complete = len(found.score) < k
        ranked = rank(view, query.unit[0], _with_spiky(view, want, found))
        distinct = ranked.distinct(want.by_subject)
        if complete:
            return distinct.take(slice(want.k))
        if len(distinct.face_ids) < want.k:
            return self._alone(view, query, want, 8 * k)
        error = float(query.error(max(part.segment.residual for part in view.parts))[0])
        step = float(query.step[0])
        kth = float(distinct.similarities[want.k - 1])
        if kth > float(found.score.min()) * step + error:
            return distinct.take(slice(want.k))
        return self._above(view, query, want, (kth - error) / step - 1)

    def _above(self, view: View, query: Queries, want: Want, floor: float) -> Ranked:
        def work(share: Sequence[Numbered]) -> Candidates:
            return Candidates.join(
                [
                    above_by_faiss(number, part, query, floor, _of(want.allowed, number))
                    for number, part in share
                ]
            )

        found = Candidates.join(self._pool.over(view.parts, work))
        ranked = rank(view, query.unit[0], _with_spiky(view, want, found))
        return ranked.distinct(want.by_subject).take(slice(want.k))


def _of(allowed: Allowed | None, number: int) -> NDArray[np.uint8] | None:
    return None if allowed is None else allowed[number]


def _with_spiky(view: View, want: Want, found: Candidates) -> Candidates:
    """Rows whose codes are poor are candidates of every search."""
    extra = [
        Candidates(np.full(len(rows), number, np.int64), rows, np.zeros(len(rows), np.float32))
        for number, part in enumerate(view.parts)
        if len(part.segment.spiky)
        for rows in [_living_spiky(part, _of(want.allowed, number))]
    ]
    if not extra:
        return found
    plain = np.ones(len(found.row), np.bool_)
    for number, part in enumerate(view.parts):
        plain &= ~((found.part == number) & np.isin(found.row, part.segment.spiky))
    kept = Candidates(found.part[plain], found.row[plain], found.score[plain])
    return Candidates.join([kept, *extra])


def _living_spiky(part: Part, allowed: NDArray[np.uint8] | None) -> NDArray[np.int64]:
    rows = part.segment.spiky
    rows = rows[rows < part.rows]
    rows = rows[part.alive_mask()[rows]]
    if allowed is None:
        return rows
    bits = np.unpackbits(allowed, count=part.rows, bitorder="little").astype(np.bool_)
    return rows[bits[rows]]
