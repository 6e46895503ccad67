"""Directions, cosines and target entries, with a finite gradient everywhere.

B batch, D embedding dimension, K classes at hand.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

TINY = 1e-12  # below this length a vector has no direction


def directions(rows_ND: Tensor) -> Tensor:
    """Rows scaled to length 1.

    A zero row stays zero and receives no gradient: it has no direction to turn, and 1/|x| would
    hand the optimizer a step of 1e12.
    """
    lengths_N1 = torch.linalg.vector_norm(rows_ND, dim=1, keepdim=True)
    return rows_ND * reciprocal(lengths_N1)


def reciprocal(lengths: Tensor) -> Tensor:
    """1 / length, and 0 without a gradient where the length is 0."""
    alive = lengths > TINY
    return torch.where(alive, 1.0 / torch.where(alive, lengths, 1.0), 0.0)


def cosines(features_BD: Tensor, weight_KD: Tensor) -> Tensor:
    """Cosine of every feature with every class direction, (B, K)."""
    return F.linear(directions(features_BD), directions(weight_KD))


def take_targets(values_BK: Tensor, labels_B: Tensor) -> Tensor:
    """The entry of each row at its label, (B,); a label of −1 (class not at hand) reads any."""
    return values_BK.gather(1, labels_B.clamp_min(0)[:, None]).squeeze(1)


def put_targets(values_BK: Tensor, labels_B: Tensor, targets_B: Tensor) -> Tensor:
    """`values_BK` with the entry at each row's label replaced; rows labelled −1 stay."""
    column_B1 = labels_B.clamp_min(0)[:, None]
    kept_B1 = values_BK.gather(1, column_B1)
    placed_B1 = torch.where(labels_B[:, None] >= 0, targets_B[:, None], kept_B1)
    return values_BK.scatter(1, column_B1, placed_B1)
