"""UniFace: one threshold for all samples, learned, as verification uses one."""

import math

import torch
from torch import Tensor, nn

from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets
from models.losses.one_vs_all import one_vs_all
from models.losses.registry import Paper, register


@register(
    "uniface",
    paper=Paper("UniFace: Unified Cross-Entropy Loss for Deep Face Recognition", "ICCV 2023"),
    target="s·(cos θ − m) − b, others s·cos θ_j − b",
)
class UniFace(MarginLoss):
    """log(1 + e^−z_y) + λ·Σ log(1 + e^z_j): positives must clear b, negatives stay under it.

    b is learned from log(10·r·C); `negative_weight` is the paper's λ, `rate` its r: the balanced
    forms for many classes.
    """

    samples_classes = False

    def __init__(
        self,
        *,
        dim: int,
        num_classes: int,
        scale: float = 64.0,
        margin: float = 0.4,
        negative_weight: float = 1.0,
        rate: float = 1.0,
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        self.scale = scale
        self.margin = margin
        self.negative_weight = negative_weight
        self.bias = nn.Parameter(torch.tensor(math.log(10.0 * rate * num_classes)))

    def logits(self, scores: Scores) -> Tensor:
        targets_B = scores.targets - self.margin
        cosines_BC = put_targets(scores.values, scores.labels, targets_B)
        return self.scale * cosines_BC - self.bias.to(cosines_BC.dtype)

    def per_sample(self, scores: Scores, logits_BK: Tensor) -> Tensor:
        return one_vs_all(logits_BK, scores.labels, 1.0, self.negative_weight)

    def statistics(self) -> dict[str, float]:
        """Also the threshold as a cosine: b/s."""
        return {**super().statistics(), "threshold_cosine": self.bias.item() / self.scale}
