"""Sealed segments in a GPU's memory: their candidates for many probes at once.

A GPU keeps unit vectors in half precision and compares all of them (FAISS's GpuIndexFlatIP). As
in every scan, what it finds are candidates, and the exact comparison after it decides. FAISS's GPU
resources belong to one thread at a time: a lock sees to it.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import faiss
import numpy as np
from numpy.typing import NDArray

from app.errors import StartError
from app.gallery.index.codes import Queries
from app.gallery.index.scan import Candidates, Shortlist
from app.gallery.index.segment import Part, Segment

GPU_ERROR = 2e-3
"""More than half precision moves the cosine of two unit vectors: 2⁻¹¹ for each of them by
Cauchy–Schwarz, and float32 sums."""
MOST = 2048
"""The most rows that FAISS's GPU selection answers for a probe."""
_log = logging.getLogger("norma.gallery")

Copy = Callable[[NDArray[np.float32]], faiss.Index]
"""Unit vectors (N, D) to an index of inner products that answers from them."""


def copier(number: int) -> Copy:
    """Copies to GPU `number`. Raises StartError where FAISS sees no such GPU."""
    seen = faiss.get_num_gpus() if hasattr(faiss, "StandardGpuResources") else 0
    if number >= seen:
        raise StartError(f"NORMA_GALLERY_GPU={number}: FAISS sees {seen} GPUs here")
    resources = faiss.StandardGpuResources()

    def copy(unit_ND: NDArray[np.float32]) -> faiss.Index:
        options = faiss.GpuIndexFlatConfig()
        options.device, options.useFloat16 = number, True
        index = faiss.GpuIndexFlatIP(resources, unit_ND.shape[1], options)
        index.add(unit_ND)
        return index

    return copy


class GpuShelf:
    """The segments that are on the GPU, as long as anybody refers to them. Thread-safe.

    Once the GPU has failed, for want of memory or otherwise, it takes no more segments, or answers
    no more; the processor does the rest.
    """

    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self._lock = threading.Lock()
        self._copies: WeakKeyDictionary[Segment, faiss.Index] = WeakKeyDictionary()
        self._takes = True

    def __len__(self) -> int:
        """Segments held."""
        with self._lock:
            return len(self._copies)

    def take(self, segment: Segment, unit_ND: NDArray[np.float32]) -> None:
        """Copies a sealed segment's unit vectors."""
        with self._lock:
            if not self._takes:
                return
            try:
                self._copies[segment] = self._copy(unit_ND)
            except RuntimeError as error:  # FAISS's own, and CUDA's through it
                self._takes = False
                _log.error("the GPU takes no more of the galleries: %s", error)

    def held(self, parts: Sequence[Part], k: int) -> frozenset[int]:
        """The numbers of the parts whose `k` best living rows the GPU can tell: not of an older
        view's, which lacks the last rows."""
        with self._lock:
            return frozenset(
                number
                for number, part in enumerate(parts)
                if part.segment in self._copies
                and part.rows == part.segment.rows
                and k + part.dead <= MOST
            )

    def scan(
        self, parts: Sequence[Part], numbers: frozenset[int], queries: Queries, k: int
    ) -> list[list[Shortlist]] | None:
        """For each probe its k best living rows of each part held; None where the GPU failed."""
        probes = np.ascontiguousarray(queries.unit, np.float32)
        try:
            with self._lock:
                found = [self._of_part(number, parts[number], probes, k) for number in numbers]
        except (RuntimeError, KeyError) as error:
            with self._lock:
                self._takes = False
                self._copies.clear()
            _log.error("the GPU failed; galleries are searched by the processor: %s", error)
            return None
        steps = queries.step
        return [[_shortlist(*one, n, steps[n]) for one in found] for n in range(len(probes))]

    def _of_part(
        self, number: int, part: Part, probes: NDArray[np.float32], k: int
    ) -> tuple[int, Part, NDArray[np.float32], NDArray[np.int64]]:
        most = min(k + part.dead, part.rows)
        scores, rows = self._copies[part.segment].search(probes, most)
        return number, part, scores, rows


def _shortlist(
    number: int,
    part: Part,
    scores_QK: NDArray[np.float32],
    rows_QK: NDArray[np.int64],
    probe: int,
    step: float,
) -> Shortlist:
    """In the units of the processor's scans, so that the two can be joined."""
    scores, rows = (scores_QK[probe] / step).astype(np.float32), rows_QK[probe]
    horizon = -np.inf if len(rows) == part.rows else float(scores[-1])
    if part.alive is not None:
        alive = part.alive_mask()[rows]
        scores, rows = scores[alive], rows[alive]
    return Shortlist(Candidates(np.full(len(rows), number, np.int64), rows, scores), horizon)
