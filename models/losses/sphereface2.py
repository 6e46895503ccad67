"""SphereFace2: one binary classifier per class, no softmax normaliser."""

import math

import torch
from torch import Tensor, nn

from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets
from models.losses.one_vs_all import one_vs_all
from models.losses.registry import Paper, preset, register


@register(
    "sphereface2",
    paper=Paper(
        "SphereFace2: Binary Classification is All You Need for Deep Face Recognition",
        "ICLR 2022",
        "2108.01513",
    ),
    target="s·(g(cos θ) − m) + b, others s·(g(cos θ_j) + m) + b, g(z) = 2((z + 1)/2)^t − 1",
)
class SphereFace2(MarginLoss):
    """`alpha` balances the positive against the C − 1 negatives; `loss_weight`/s scales the sum.

    The bias, learned, starts where the loss of an untrained network is stationary in it.
    `detach_margin` treats g and the margin as a constant offset of s·cos θ + b, as opensphere
    does; by default the gradient is the formula's own.
    """

    samples_classes = False

    def __init__(
        self,
        *,
        dim: int,
        num_classes: int,
        scale: float = 40.0,
        margin: float = 0.4,
        alpha: float = 0.7,
        t: float = 3.0,
        loss_weight: float = 50.0,
        detach_margin: bool = False,
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        if not 0.0 < alpha < 1.0 or t < 1.0:
            raise ValueError(f"need 0 < alpha < 1 and t ≥ 1; got {alpha}, {t}")
        self.scale = scale
        self.margin = margin
        self.alpha = alpha
        self.t = t
        self.loss_weight = loss_weight
        self.detach_margin = detach_margin
        self.bias = nn.Parameter(torch.tensor(self._stationary_bias(num_classes)))

    def logits(self, scores: Scores) -> Tensor:
        spread_BC = 2.0 * ((scores.values + 1.0) / 2.0).clamp_min(0.0) ** self.t - 1.0
        targets_B = 2.0 * ((scores.targets + 1.0) / 2.0).clamp_min(0.0) ** self.t - 1.0
        moved_BC = put_targets(spread_BC + self.margin, scores.labels, targets_B - self.margin)
        if self.detach_margin:
            moved_BC = scores.values + (moved_BC - scores.values).detach()
        return self.scale * moved_BC + self.bias.to(moved_BC.dtype)

    def per_sample(self, scores: Scores, logits_BK: Tensor) -> Tensor:
        weight = self.loss_weight / self.scale
        positive, negative = weight * self.alpha, weight * (1.0 - self.alpha)
        return one_vs_all(logits_BK, scores.labels, positive, negative)

    def statistics(self) -> dict[str, float]:
        return {**super().statistics(), "bias": self.bias.item()}

    def _stationary_bias(self, num_classes: int) -> float:
        """b with ∂loss/∂b = 0 when every cosine is 0.

        With z_y = a_y + b, z_j = a_j + b and odds r = α/((1 − α)(C − 1)) the condition
        r·σ(−z_y) = σ(z_j) is a quadratic in e^b.
        """
        centre = 2.0 * 0.5**self.t - 1.0
        positive = self.scale * (centre - self.margin)
        negative = self.scale * (centre + self.margin)
        odds = self.alpha / ((1.0 - self.alpha) * max(num_classes - 1, 1))
        root = math.sqrt((1.0 - odds) ** 2 + 4.0 * odds * math.exp(positive - negative))
        if odds > 1.0:  # the same root, without the cancellation that few classes would bring
            return math.log((root + odds - 1.0) / 2.0) - positive
        return math.log(2.0 * odds) - negative - math.log(1.0 - odds + root)


preset(
    "sphereface2_opensphere",
    loss="sphereface2",
    source="ydwen/opensphere, configuration",
    scale=64.0,
    margin=0.5,
    alpha=0.8,
    detach_margin=True,
)
