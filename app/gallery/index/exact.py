"""Exact search: scan 8-bit codes, compare the best candidates exactly, prove that none is missed.

A row that the scan left out scored at most as high as the horizon, and a scan is wrong by at
most a known error (codes.py). So where the k-th answer lies above horizon + error, it is the true
k-th. Where it does not, the scan is repeated for more candidates. The answer is what comparing with
every face in double precision would give.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.gallery.index.codes import Queries
from app.gallery.index.gpu import GPU_ERROR, GpuShelf
from app.gallery.index.pool import Numbered, ScanPool
from app.gallery.index.rescore import Ranked, rank
from app.gallery.index.scan import (
    BATCH_FROM,
    BatchScan,
    Candidates,
    Product,
    Shortlist,
    top_by_faiss,
)
from app.gallery.index.segment import Part, View

OF_A_PART = 64
"""Candidates of one probe from each part. At a million faces in 31 parts the worst of them is about
the 2000th of all, far below the tenth, so that one scan nearly always proves its answer."""
OF_A_SHARE = 256
"""Candidates of one probe in a batch from each thread's share of the parts."""
WIDEN = 8

Allowed = tuple[NDArray[np.uint8], ...]
"""For each part of a view a bitmap of the rows that a filter lets through."""


@dataclass(frozen=True, slots=True)
class Want:
    """How many answers one probe asks for, of which kind, from which rows."""

    k: int
    by_subject: bool
    allowed: Allowed | None = None


class ExactSearch:
    """Thread-safe; holds nothing but the means."""

    def __init__(self, pool: ScanPool, gpu: GpuShelf | None = None) -> None:
        self._pool = pool
        self._gpu = gpu
        self._product = Product()

    def search(self, view: View, queries: Queries, wants: Sequence[Want]) -> list[Ranked]:
        """For each probe its best faces, or the best face of each of its best subjects."""
        each = [queries.take(slice(n, n + 1)) for n in range(len(wants))]
        answers: list[Ranked | None] = [None] * len(wants)
        open_ = np.array([n for n, want in enumerate(wants) if want.allowed is None], np.int64)
        k = max((OF_A_SHARE, *(4 * wants[n].k for n in open_)))
        held = self._gpu.held(view.parts, k) if self._gpu else frozenset()
        if len(open_) >= BATCH_FROM or (held and len(open_)):
            lists = self._batch(view, queries.take(open_), k, held)
            for n, found in zip(open_, lists, strict=True):
                answers[n] = _proven(view, each[n], wants[n], found)
        return [
            self._alone(view, query, want) if answer is None else answer
            for query, want, answer in zip(each, wants, answers, strict=True)
        ]

    def _batch(self, view: View, queries: Queries, k: int, held: frozenset[int]) -> list[Shortlist]:
        by_gpu = self._gpu.scan(view.parts, held, queries, k) if self._gpu and held else None
        elsewhere = held if by_gpu else frozenset()

        def work(share: Sequence[Numbered]) -> list[Shortlist]:
            scan = BatchScan(self._product, queries, k)
            for number, part in share:
                if number not in elsewhere:
                    scan.scan(number, part)
            return scan.result()

        shares = [*self._pool.over(view.parts, work), *zip(*by_gpu or (), strict=True)]
        return [Shortlist.join([share[n] for share in shares]) for n in range(len(queries))]

    def _alone(self, view: View, query: Queries, want: Want) -> Ranked:
        """Looks at more and more candidates until the answer is proven: at the latest, at all."""
        k = max(OF_A_PART, 4 * want.k)
        while True:
            answer = _proven(view, query, want, self._scan(view, query, want, k))
            if answer is not None:
                return answer
            k *= WIDEN

    def _scan(self, view: View, query: Queries, want: Want, k: int) -> Shortlist:
        def work(share: Sequence[Numbered]) -> Shortlist:
            return Shortlist.join(
                [
                    found
                    for number, part in share
                    for found in top_by_faiss(number, part, query, k, _of(want.allowed, number))
                ]
            )

        return Shortlist.join(self._pool.over(view.parts, work))


def _proven(view: View, query: Queries, want: Want, found: Shortlist) -> Ranked | None:
    """The answer, if the candidates suffice to prove it."""
    residual = max((p.segment.residual for p in view.parts), default=0.0)
    error = float(query.error(max(residual, GPU_ERROR))[0])
    step = float(query.step[0])
    hopeful = _hopeful(view, want, found.candidates, 2 * error / step)
    ranked = rank(view, query.unit[0], _with_spiky(view, want, hopeful))
    answer = ranked.distinct(want.by_subject).take(slice(want.k))
    if found.horizon == -math.inf:
        return answer
    if len(answer.face_ids) < want.k:
        return None
    proven = float(answer.similarities[-1]) > found.horizon * step + error
    return answer if proven else None


def _hopeful(view: View, want: Want, found: Candidates, margin: float) -> Candidates:
    """Those that may be among the k best: not further below the k-th than scans can be wrong."""
    order = np.argsort(-found.score, kind="stable")
    sorted_ = Candidates(found.part[order], found.row[order], found.score[order])
    first = np.arange(len(order))
    if want.by_subject:
        first = np.sort(np.unique(_subjects(view, sorted_), return_index=True)[1])
    if len(first) <= want.k:
        return sorted_
    floor = sorted_.score[first[want.k - 1]] - margin
    return sorted_.take(sorted_.score >= floor)


def _subjects(view: View, found: Candidates) -> NDArray[np.int64]:
    """The subject of each candidate."""
    subjects = np.empty(len(found.row), np.int64)
    for number in np.unique(found.part):
        here = found.part == number
        subjects[here] = view.parts[number].segment.subjects[found.row[here]]
    return subjects


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
    return Candidates.join([found.take(plain), *extra])


def _living_spiky(part: Part, allowed: NDArray[np.uint8] | None) -> NDArray[np.int64]:
    rows = part.segment.spiky
    rows = rows[rows < part.rows]
    rows = rows[part.alive_mask()[rows]]
    if allowed is None:
        return rows
    bits = np.unpackbits(allowed, count=part.rows, bitorder="little").astype(np.bool_)
    return rows[bits[rows]]
