"""Chooses how to search: exactly unless the fast tier is asked for and can answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.gallery.index import exact
from app.gallery.index.codes import Queries
from app.gallery.index.exact import ExactSearch
from app.gallery.index.fast import FastSearch
from app.gallery.index.gpu import GpuShelf
from app.gallery.index.pool import ScanPool
from app.gallery.index.projection import locate
from app.gallery.index.rescore import Ranked, rank
from app.gallery.index.scan import Candidates
from app.gallery.index.segment import View

FEW = 8192
"""A filter that leaves at most as many faces is answered by comparing with each of them."""


@dataclass(frozen=True, slots=True)
class Want:
    """What one probe asks for. `subject_ids`, ascending, restricts it to these subjects."""

    k: int
    by_subject: bool = True
    subject_ids: NDArray[np.int64] | None = None
    fast: bool = False


class SearchEngine:
    """The one way to search a view. Thread-safe."""

    def __init__(self, threads: int, gpu: GpuShelf | None = None) -> None:
        """`gpu` answers exact searches of what it holds."""
        self._pool = ScanPool(threads)
        self._exact = ExactSearch(self._pool, gpu)
        self._fast = FastSearch(self._pool)

    def search(self, view: View, queries: Queries, wants: Sequence[Want]) -> list[Ranked]:
        """Answers in the order of the probes. The wants are all fast, or all exact."""
        if wants[0].fast:
            ks = [want.k for want in wants]
            return self._fast.search(view, queries, ks, [want.by_subject for want in wants])
        asked = [exact.Want(w.k, w.by_subject, _allowed(view, w.subject_ids)) for w in wants]
        return self._exact.search(view, queries, asked)

    def among(
        self, view: View, query: Queries, face_ids: NDArray[np.int64], by_subject: bool
    ) -> Ranked:
        """Compares the probe with these faces only, those of them that the view has."""
        part, row = locate(view, face_ids)
        found = Candidates(part, row, np.zeros(len(row), np.float32))
        return rank(view, query.unit[0], found).distinct(by_subject)

    def close(self) -> None:
        self._pool.close()


def _allowed(view: View, subject_ids: NDArray[np.int64] | None) -> exact.Allowed | None:
    if subject_ids is None:
        return None
    return tuple(
        np.packbits(np.isin(part.segment.subjects[: part.rows], subject_ids), bitorder="little")
        for part in view.parts
    )
