"""1:N evaluation (ISO/IEC 19795-1): rank-1, FPIR and FNIR.

A subject scores the highest similarity of its enrolled samples. FPIR: share of searches of people
who are not enrolled that return anyone. FNIR: share of searches of enrolled people whose mate is
below the threshold or not within the rank. TPIR = 1 − FNIR.

Shapes: Q probes, G gallery samples, S enrolled subjects, D feature dimensions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluate.comparisons import Labels, Scores, unit
from models.evaluate.intervals import ErrorPoint, Resampling, Scored, error_point


@dataclass(frozen=True, slots=True)
class Searches:
    """What each probe's search over the gallery gave.

    `mate`: similarity of the probe's own subject, −∞ where it is not enrolled. `other`: the
    best similarity of anyone else. `rank`: 1 + the others at least as similar as the mate, so
    ties count against; 0 where there is no mate. `subject`: whose probe it is.
    """

    mate: Scores
    other: Scores
    rank: Labels
    subject: Labels

    @property
    def mated(self) -> NDArray[np.bool_]:
        """Probes whose subject is enrolled."""
        return self.rank > 0


def search(
    probe_QD: Scores,
    probe_subject_Q: Labels,
    gallery_GD: Scores,
    gallery_subject_G: Labels,
    chunk: int = 1024,
) -> Searches:
    """Search every probe in the gallery, `chunk` probes at a time."""
    order_G = np.argsort(gallery_subject_G, kind="stable")
    subject_S, first_S = np.unique(gallery_subject_G[order_G], return_index=True)
    if len(subject_S) < 2:
        raise ValueError("a gallery needs two subjects at least")
    gallery_DG = unit(gallery_GD)[order_G].T
    probe_QD = unit(probe_QD)
    parts = [
        _search(
            np.maximum.reduceat(probe_QD[at : at + chunk] @ gallery_DG, first_S, axis=1),
            probe_subject_Q[at : at + chunk, None] == subject_S,
        )
        for at in range(0, len(probe_QD), chunk)
    ]
    mate_Q, other_Q, rank_Q = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Searches(mate_Q, other_Q, rank_Q, probe_subject_Q)


def _search(
    similarity_QS: Scores, mate_QS: NDArray[np.bool_]
) -> tuple[Scores, Scores, NDArray[np.intp]]:
    mate_Q = np.where(mate_QS, similarity_QS, -np.inf).max(axis=1)
    others_QS = np.where(mate_QS, -np.inf, similarity_QS)
    rank_Q = np.where(mate_QS.any(axis=1), 1 + (others_QS >= mate_Q[:, None]).sum(axis=1), 0)
    return mate_Q, others_QS.max(axis=1), rank_Q


def rank_accuracy(searches: Searches, rank: int = 1) -> float:
    """Share of enrolled people's probes whose mate is among the `rank` best (the CMC)."""
    return float((searches.rank[searches.mated] <= rank).mean())


def tpir_at_fpir(
    searches: Searches,
    fpir: float,
    rank: int = 1,
    resampling: Resampling = Resampling(),  # noqa: B008 (frozen)
    support: float = 3.0,
) -> ErrorPoint:
    """TPIR (`true_positive`), FPIR and FNIR at the smallest threshold with FPIR ≤ `fpir`.

    The threshold holds for galleries of this size only. Intervals resample the probes' subjects.
    Raises UnsupportedRateError with fewer than `support` / `fpir` probes of unenrolled people.
    """
    mated_Q = searches.mated
    found_Q = np.where(searches.rank <= rank, searches.mate, -np.inf)
    subject_Q1 = searches.subject[:, None]
    return error_point(
        Scored(searches.other[~mated_Q], subject_Q1[~mated_Q]),
        Scored(found_Q[mated_Q], subject_Q1[mated_Q]),
        fpir,
        resampling,
        support,
    )
