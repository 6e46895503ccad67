"""AdaFace: length, as a proxy of quality, chooses between an angular and an additive margin."""

import math

import torch
from torch import Tensor

from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets
from models.losses.registry import Paper, register

EDGE = 1e-3  # the original keeps cosines and angles this far from their bounds
LONGEST = 100.0  # and reads lengths up to here


@register(
    "adaface",
    paper=Paper("AdaFace: Quality Adaptive Margin for Face Recognition", "CVPR 2022", "2204.00964"),
    target="s·(cos(θ − m·z) − (m + m·z)), z = clip(h(‖x‖ − μ)/σ, −1, 1)",
)
class AdaFace(MarginLoss):
    """z = −1 is ArcFace, 0 CosFace, 1 a negative angle and twice the offset.

    μ and σ are running statistics of the lengths over all ranks, rate `t_alpha`, in the state;
    they start at 20 and 100, as in the original, so z stays near 0 for some hundred steps. The
    length gets no gradient. A batch of one leaves σ as it is: it has none.
    """

    pools_ranks = True
    batch_mean: Tensor
    batch_std: Tensor

    def __init__(
        self,
        *,
        dim: int,
        num_classes: int,
        scale: float = 64.0,
        margin: float = 0.4,
        h: float = 0.333,
        t_alpha: float = 0.01,
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        self.scale = scale
        self.margin = margin
        self.h = h
        self.t_alpha = t_alpha
        self.register_buffer("batch_mean", torch.tensor(20.0))
        self.register_buffer("batch_std", torch.tensor(100.0))

    def observe(self, norms_B: Tensor, targets_B: Tensor) -> None:
        norms_B = norms_B.clamp(EDGE, LONGEST).to(self.batch_mean.dtype)
        self.batch_mean.lerp_(norms_B.mean(), self.t_alpha)
        if len(norms_B) > 1:
            self.batch_std.lerp_(norms_B.std(), self.t_alpha)

    @torch.no_grad()
    def indicator(self, norms_B: Tensor) -> Tensor:
        """z of each length, in [−1, 1]."""
        spread = (norms_B.clamp(EDGE, LONGEST) - self.batch_mean) / (self.batch_std + EDGE)
        return (spread * self.h).clamp(-1.0, 1.0)

    def logits(self, scores: Scores) -> Tensor:
        lean_B = self.margin * self.indicator(scores.norms)
        angles_B = scores.targets.clamp(-1.0 + EDGE, 1.0 - EDGE).acos()
        turned_B = (angles_B - lean_B).clamp(EDGE, math.pi - EDGE).cos()
        cosines_BK = scores.values.clamp(-1.0 + EDGE, 1.0 - EDGE)
        targets_B = turned_B - (self.margin + lean_B)
        return self.scale * put_targets(cosines_BK, scores.labels, targets_B)

    def statistics(self) -> dict[str, float]:
        """Also the running mean and deviation of the lengths, and the mean z of the batch."""
        if self._seen is None:
            return {}
        return {
            **super().statistics(),
            "running_norm_mean": self.batch_mean.item(),
            "running_norm_std": self.batch_std.item(),
            "indicator_mean": self.indicator(self._seen.norms).mean().item(),
        }
