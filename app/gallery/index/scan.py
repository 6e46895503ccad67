"""Integer scans over the codes: which rows are near a probe, approximately.

One to a few probes go through FAISS, a probe at a time at memory speed. More are multiplied with
blocks that stay in the cache, by the runtime's int8 matrix product; both give the same integers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import faiss
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from app.gallery.index.codes import OFFSET, Queries
from app.gallery.index.onnx_bytes import integer_product
from app.gallery.index.segment import Part

BLOCK = 2048
"""Rows multiplied at once: 1 MB of codes at D = 512, which stays in the second-level cache."""
BATCH_FROM = 4
"""Probes from which the product is faster than FAISS."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows near one probe: `part` int64 (K,), `row` int64 (K,), `score` float32 (K,) integers."""

    part: NDArray[np.int64]
    row: NDArray[np.int64]
    score: NDArray[np.float32]

    @classmethod
    def none(cls) -> "Candidates":
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, np.zeros(0, np.float32))

    @classmethod
    def join(cls, several: "list[Candidates]") -> "Candidates":
        if not several:
            return cls.none()
        return cls(
            np.concatenate([one.part for one in several]),
            np.concatenate([one.row for one in several]),
            np.concatenate([one.score for one in several]),
        )

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> "Candidates":
        return Candidates(self.part[which], self.row[which], self.score[which])

    def best(self, k: int) -> "Candidates":
        """The k highest scores, in no order."""
        if len(self.score) <= k:
            return self
        keep = np.argpartition(self.score, len(self.score) - k)[-k:]
        return Candidates(self.part[keep], self.row[keep], self.score[keep])


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Candidates, and the score that no row outside of them exceeds (−∞: there is none outside)."""

    candidates: Candidates
    horizon: float

    @classmethod
    def join(cls, several: "Sequence[Shortlist]") -> "Shortlist":
        return cls(
            Candidates.join([one.candidates for one in several]),
            max((one.horizon for one in several), default=-math.inf),
        )


class Product:
    """uint8 codes (N, D) less their offset, times int8 levels (D, Q): int32 (N, Q)."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            integer_product(OFFSET), options, providers=["CPUExecutionProvider"]
        )

    def __call__(
        self, codes_ND: NDArray[np.uint8], levels_DQ: NDArray[np.int8]
    ) -> NDArray[np.int32]:
        result: NDArray[np.int32] = self._session.run(None, {"a": codes_ND, "b": levels_DQ})[0]
        return result


def top_by_faiss(
    number: int, part: Part, queries: Queries, k: int, allowed: NDArray[np.uint8] | None
) -> list[Shortlist]:
    """For each probe the k best rows of a part among those alive and `allowed` (bitmaps)."""
    parameters = _parameters(_both(_both(part.alive, _published(part)), allowed))
    scores, rows = part.segment.scanner.search(queries.levels, min(k, part.rows), params=parameters)
    return [
        Shortlist(
            _candidates(number, row, score),
            -math.inf if k >= part.rows or row[-1] < 0 else float(score[-1]),
        )
        for row, score in zip(rows, scores, strict=True)
    ]


def _published(part: Part) -> NDArray[np.uint8] | None:
    """Leaves out the rows that have been appended since; None where there is no room for any."""
    if part.rows == part.segment.capacity:
        return None
    return np.packbits(np.ones(part.rows, np.bool_), bitorder="little")


def _candidates(number: int, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> Candidates:
    found = rows >= 0  # −1 where there were fewer
    rows = rows[found]
    return Candidates(np.full(len(rows), number, np.int64), rows, scores[found])


def _both(
    one: NDArray[np.uint8] | None, other: NDArray[np.uint8] | None
) -> NDArray[np.uint8] | None:
    if one is None or other is None:
        return other if one is None else one
    size = min(len(one), len(other))
    return one[:size] & other[:size]


def _parameters(bitmap: NDArray[np.uint8] | None) -> faiss.SearchParameters | None:
    if bitmap is None:
        return None
    # FAISS's own stubs describe the C++ signatures, not what its Python layer takes.
    selector = faiss.IDSelectorBitmap(bitmap)  # type: ignore[call-arg, arg-type]
    return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]


_LOWEST = np.iinfo(np.int32).min


class BatchScan:
    """The k best rows of many probes, part after part, none of them filtered."""

    def __init__(self, product: Product, queries: Queries, k: int) -> None:
        self._product = product
        self._levels = np.ascontiguousarray(queries.levels.T.astype(np.int8))
        self._k = k
        self._floor = np.full(len(queries), _LOWEST, np.int32)
        """What a row must score above; raised as better ones are found."""
        self._hits: list[NDArray[np.int64]] = []
        """Arrays (4, hits): probe, score, part, row."""
        self._pending = 0

    def scan(self, number: int, part: Part) -> None:
        dead = None if part.alive is None else ~part.alive_mask()
        block = np.empty((BLOCK, part.segment.dim), np.uint8)
        for start in range(0, part.rows, BLOCK):
            stop = min(start + BLOCK, part.rows)
            # The product reads several rows at a time, which defeats the memory's prefetching:
            # copying a block first, in order, makes the whole nearly twice as fast.
            np.copyto(block[: stop - start], part.segment.codes[start:stop])
            scores = self._product(block[: stop - start], self._levels)
            if dead is not None:
                scores[dead[start:stop]] = _LOWEST
            self._keep(number, start, scores)

    def _keep(self, number: int, start: int, scores: NDArray[np.int32]) -> None:
        if self._floor[0] == _LOWEST and len(scores) > self._k:
            self._floor = np.partition(scores, -self._k, axis=0)[-self._k]
            self._floor -= self._floor > _LOWEST  # rows at the border are in
        (flat,) = np.nonzero((scores > self._floor).ravel())
        if not len(flat):
            return
        row, probe = np.divmod(flat, scores.shape[1])
        part = np.full(len(flat), number, np.int64)
        self._hits.append(np.stack([probe, scores.ravel()[flat], part, start + row]))
        self._pending += len(flat)
        if self._pending > 3 * self._k * len(self._floor):
            self._prune()

    def _prune(self) -> None:
        """Keeps each probe's k best. Rows equal to the worst of them may be left out: it is
        the horizon."""
        hits = np.concatenate(self._hits, axis=1)
        hits = hits[:, np.lexsort((-hits[1], hits[0]))]
        begins = np.searchsorted(hits[0], np.arange(len(self._floor)))
        place = np.arange(hits.shape[1]) - begins[hits[0]]
        worst = hits[:, place == self._k - 1]
        self._floor[worst[0]] = worst[1]
        kept = hits[:, place < self._k]
        self._hits, self._pending = [kept], kept.shape[1]

    def result(self) -> list[Shortlist]:
        if not self._hits:
            return [Shortlist(Candidates.none(), -math.inf) for _ in self._floor]
        self._prune()
        hits = self._hits[0]
        borders = np.searchsorted(hits[0], np.arange(len(self._floor) + 1))
        return [
            Shortlist(
                Candidates(hits[2, a:b], hits[3, a:b], hits[1, a:b].astype(np.float32)),
                -math.inf if floor == _LOWEST else float(floor),
            )
            for (a, b), floor in zip(pairwise(borders), self._floor, strict=True)
        ]
