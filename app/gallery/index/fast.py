"""The fast tier: a quick look at every face through 64-byte codes, then exact comparison.

Product quantisation into 128 parts of 4 bits each, scanned with in-register look-up tables
(André et al., "Quicker ADC", IEEE TPAMI 2021; FAISS's IndexPQFastScan). The best few hundred are
compared exactly, so a similarity that is answered is always the true one; what may happen is that a
face is not among them. Segments that are not coded yet are scanned as in the exact search.
"""

from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from app.gallery.index.codes import Queries
from app.gallery.index.pool import Numbered, ScanPool
from app.gallery.index.rescore import Ranked, rank
from app.gallery.index.scan import Candidates, top_by_faiss
from app.gallery.index.segment import Part, Segment, View

CANDIDATES = 256
PARTS = 128
BITS = 4
OF_A_PART = 64
TRAINED_ON = 32_768


class FastCoder:
    """A gallery's code book, and the coding of its sealed segments."""

    def __init__(self, dim: int) -> None:
        self._quantizer = faiss.ProductQuantizer(dim, min(PARTS, dim // 2), BITS)
        self._trained = False
        self._dim = dim

    def code(self, segment: Segment) -> None:
        """Makes a sealed segment fast; the first one also trains the code book."""
        unit = unit_vectors(segment)
        if not self._trained:
            self._quantizer.train(unit[:TRAINED_ON])
            self._trained = True
        scanner = faiss.IndexPQFastScan(
            self._dim, self._quantizer.M, BITS, faiss.METRIC_INNER_PRODUCT
        )
        scanner.pq = self._quantizer
        scanner.is_trained = True
        scanner.add(unit)
        segment.fast = scanner


def unit_vectors(segment: Segment) -> NDArray[np.float32]:
    """Of all its rows, (N, D)."""
    rows = slice(0, segment.rows)
    wide = segment.features[rows].astype(np.float32)
    unit: NDArray[np.float32] = wide * segment.inverse_norms[rows, None].astype(np.float32)
    return unit


class FastSearch:
    """Thread-safe; holds nothing but the means."""

    def __init__(self, pool: ScanPool) -> None:
        self._pool = pool

    def search(
        self, view: View, queries: Queries, ks: Sequence[int], by_subject: Sequence[bool]
    ) -> list[Ranked]:
        """For each probe its best faces or subjects among the best candidates."""
        k = max(CANDIDATES, *(4 * k for k in ks))
        glance = _Glance(queries, of_a_part(k, len(view.parts)))

        def work(share: Sequence[Numbered]) -> list[Candidates]:
            each = [glance.at(number, part) for number, part in share]
            return [Candidates.join(list(found)).best(k) for found in zip(*each, strict=True)]

        shares = self._pool.over(view.parts, work)
        answers = []
        for n, wanted in enumerate(ks):
            found = Candidates.join([share[n] for share in shares]).best(k)
            ranked = rank(view, queries.unit[n], found)
            answers.append(ranked.distinct(by_subject[n]).take(slice(wanted)))
        return answers


def of_a_part(k: int, parts: int) -> int:
    """How many candidates to take from each part so that the best `k` of all are among them.

    Four times a part's even share, and never under 64: a subject's faces, which lie side by side,
    fit in. Fewer candidates make the scan of a part a fifth faster.
    """
    return min(k, max(OF_A_PART, 4 * k // max(parts, 1)))


class _Glance:
    """Candidates with approximate cosines, on the same scale for both kinds of segment."""

    def __init__(self, queries: Queries, k: int) -> None:
        self._queries = queries
        self._unit = queries.unit.astype(np.float32)
        self._k = k

    def at(self, number: int, part: Part) -> list[Candidates]:
        """Those of one part, for each probe."""
        if part.segment.fast is None:
            return self._by_eight_bits(number, part)
        # The scan cannot leave rows out, so room is made for the dead.
        scores, rows = part.segment.fast.search(self._unit, min(self._k + part.dead, part.rows))
        found = [
            Candidates(np.full(len(row), number, np.int64), row, score)
            for score, row in zip(scores, rows, strict=True)
        ]
        return [one.take(_living(part, one.row)) for one in found] if part.dead else found

    def _by_eight_bits(self, number: int, part: Part) -> list[Candidates]:
        found = top_by_faiss(number, part, self._queries, self._k, None)
        looked = [one.candidates for one in found]
        return [
            Candidates(one.part, one.row, (one.score * step).astype(np.float32))
            for one, step in zip(looked, self._queries.step, strict=True)
        ]


def _living(part: Part, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    living: NDArray[np.bool_] = part.alive_mask()[rows]
    return living
