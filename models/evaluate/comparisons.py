"""Comparisons: similarities of pairs of samples, mated or not, and whose they are.

Shapes: N samples, P pairs, D feature dimensions. Similarity is the cosine of raw features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Labels = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Comparisons:
    """`similarity` (P,), higher means more alike; `mated` (P,) bool.

    `subject` (P, 2) names the subjects of both sides, for intervals that know that one person
    makes many comparisons. None where nobody knows: then each comparison counts as independent,
    which makes intervals too narrow if people repeat.
    """

    similarity: Scores
    mated: NDArray[np.bool_]
    subject: Labels | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.similarity).all():
            raise ValueError("a similarity is not finite")
        if self.mated.all() or not self.mated.any():
            raise ValueError("an evaluation needs mated and non-mated comparisons")

    @property
    def genuine(self) -> Scores:
        """Similarities of mated pairs."""
        return self.similarity[self.mated]

    @property
    def impostor(self) -> Scores:
        """Similarities of non-mated pairs."""
        return self.similarity[~self.mated]


def unit(features_ND: Scores) -> Scores:
    """Features scaled to unit length. Raises ValueError for a feature of length zero or not finite.

    An evaluation must not quietly score a sample that has no direction.
    """
    lengths_N1 = np.linalg.norm(features_ND, axis=1, keepdims=True)
    if not np.isfinite(lengths_N1).all() or not (lengths_N1 > 0).all():
        raise ValueError("a feature is zero or not finite")
    return features_ND / lengths_N1


def compare_pairs(
    features_ND: Scores,
    pair_P2: Labels,
    mated_P: NDArray[np.bool_],
    subject_N: Labels | None = None,
) -> Comparisons:
    """The listed pairs (two sample indices each), as LFW's and IJB's protocols list them."""
    unit_ND = unit(features_ND)
    left_PD, right_PD = unit_ND[pair_P2[:, 0]], unit_ND[pair_P2[:, 1]]
    similarity_P = np.einsum("pd,pd->p", left_PD, right_PD)
    return Comparisons(similarity_P, mated_P, None if subject_N is None else subject_N[pair_P2])


def compare_all(features_ND: Scores, subject_N: Labels) -> Comparisons:
    """Every sample with every other, once: N (N − 1) / 2 comparisons."""
    first_P, second_P = np.triu_indices(len(features_ND), k=1)
    unit_ND = unit(features_ND)
    subject_P2 = np.stack([subject_N[first_P], subject_N[second_P]], axis=1)
    similarity_P = (unit_ND @ unit_ND.T)[first_P, second_P]
    return Comparisons(similarity_P, subject_P2[:, 0] == subject_P2[:, 1], subject_P2)
