"""From a subject's faces to one similarity.

max            the nearest face: exact over the whole gallery
mean           the mean of the cosines of all its faces
norm_weighted  the cosine with the sum of its raw features: faces weigh by their norm, which
               MagFace-style training makes their quality (Meng et al., CVPR 2021)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.gallery.index.rescore import cosines
from app.gallery.types import Aggregate

Score = Callable[[float, float], float]
"""From a face's similarity to the probe, and the face's norm, to what is decided on."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike a probe and a subject are, and the score that is decided on."""

    similarity: float
    score: float


def likeness(
    unit_D: NDArray[np.float64],
    features_ND: NDArray[np.float64],
    aggregate: Aggregate,
    score: Score,
) -> Likeness:
    """A subject's likeness to a probe, each of its faces scored by its own norm.

    By `max` the face that scores highest speaks, by `mean` all do; the sum of `norm_weighted` is
    scored by the norms' mean under the same weights.
    """
    norms = np.linalg.norm(features_ND, axis=1)
    if aggregate == "norm_weighted":
        value = similarity(unit_D, features_ND, aggregate)
        return Likeness(value, score(value, float((norms**2).sum() / norms.sum())))
    each = [float(value) for value in cosines(features_ND, 1 / norms, unit_D)]
    pairs = [
        Likeness(value, score(value, float(norm))) for value, norm in zip(each, norms, strict=True)
    ]
    if aggregate == "max":
        return max(pairs, key=lambda pair: (pair.score, pair.similarity))
    return Likeness(
        float(np.mean([pair.similarity for pair in pairs])),
        float(np.mean([pair.score for pair in pairs])),
    )


def similarity(
    unit_D: NDArray[np.float64], features_ND: NDArray[np.float64], aggregate: Aggregate
) -> float:
    """One subject's similarity to a probe, from all its raw features."""
    rows = features_ND
    if aggregate == "norm_weighted":
        rows = features_ND.sum(axis=0, keepdims=True)
    norms = np.linalg.norm(rows, axis=1)
    if not norms.all():  # opposite features that cancel out look like nobody
        return 0.0
    each = cosines(rows, 1 / norms, unit_D)
    return float(each.mean() if aggregate == "mean" else each.max())
