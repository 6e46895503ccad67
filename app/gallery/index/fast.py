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
TRAINED_ON = 32_768


class FastCoder:
    """A gallery's code book, and the coding of its sealed segments."""

    def __init__(self, dim: int) -> None:
        self._quantizer = faiss.ProductQuantizer(dim, min(PARTS, dim // 2), BITS)
        self._trained = False
        self._dim = dim

    def code(self, segment: Segment) -> None:
        """Makes a sealed segment fast; the first one also trains the code book."""
        unit = _unit(segment, slice(0, segment.rows))
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


def _unit(segment: Segment, rows: slice) -> NDArray[np.float32]:
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

        def work(share: Sequence[Numbered]) -> list[Candidates]:
            each = [_look(number, part, queries, k) for number, part in share]
            return [Candidates.join(list(found)).best(k) for found in zip(*each, strict=True)]

        shares = self._pool.over(view.parts, work)
        answers = []
        for n, wanted in enumerate(ks):
            found = Candidates.join([share[n] for share in shares]).best(k)
            ranked = rank(view, queries.unit[n], found)
            answers.append(ranked.distinct(by_subject[n]).take(slice(wanted)))
        return answers


def _look(number: int, part: Part, queries: Queries, k: int) -> list[Candidates]:
    """Candidates with approximate cosines, on the same scale for both kinds of segment."""
    if part.segment.fast is None:
        found = top_by_faiss(number, part, queries, k, None)
        looked = [one.candidates for one in found]
        return [
            Candidates(one.part, one.row, (one.score * step).astype(np.float32))
            for one, step in zip(looked, queries.step, strict=True)
        ]
    # The scan cannot leave rows out, so room is made for the dead.
    scores, rows = part.segment.fast.search(
        queries.unit.astype(np.float32), min(k + part.dead, part.rows)
    )
    alive = part.alive_mask() if part.dead else np.ones(part.rows, np.bool_)
    result = []
    for score, row in zip(scores, rows, strict=True):
        keep = (row >= 0) & alive[row]
        result.append(
            Candidates(np.full(int(keep.sum()), number, np.int64), row[keep], score[keep])
        )
    return result
