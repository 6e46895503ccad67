"""C binary decisions per sample in place of one softmax."""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.losses.geometry import put_targets, take_targets


def one_vs_all(logits_BC: Tensor, labels_B: Tensor, positive: float, negative: float) -> Tensor:
    """positive·log(1 + e^−z_y) + negative·Σ_{j≠y} log(1 + e^z_j), per row."""
    targets_B = take_targets(logits_BC, labels_B)
    nothing_B = torch.full_like(targets_B, -torch.inf)
    others_BC = put_targets(logits_BC, labels_B, nothing_B)
    return positive * F.softplus(-targets_B) + negative * F.softplus(others_BC).sum(1)
