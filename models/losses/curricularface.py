"""CurricularFace: ArcFace whose hard negatives count for more as training matures."""

import torch
from torch import Tensor

from models.losses.angular import BeyondPi, add_angle, check_angle
from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets
from models.losses.registry import Paper, register


@register(
    "curricularface",
    paper=Paper(
        "CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition",
        "CVPR 2020",
        "2004.00288",
    ),
    target="s·cos(θ + m); hard negatives s·cos θ_j·(t + cos θ_j)",
)
class CurricularFace(MarginLoss):
    """A negative is hard where cos θ_j > cos(θ_y + m).

    t, the maturity, is the running mean of the target cosine over all ranks (rate `ema_alpha`),
    moved before it is used and without gradient.
    """

    pools_ranks = True
    t: Tensor

    def __init__(
        self,
        *,
        dim: int,
        num_classes: int,
        scale: float = 64.0,
        margin: float = 0.5,
        ema_alpha: float = 0.01,
        beyond_pi: BeyondPi = "hard",
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        check_angle(margin, beyond_pi)
        self.scale = scale
        self.margin = margin
        self.ema_alpha = ema_alpha
        self.beyond_pi = beyond_pi
        self.register_buffer("t", torch.tensor(0.0))

    def observe(self, norms_B: Tensor, targets_B: Tensor) -> None:
        self.t.lerp_(targets_B.mean().to(self.t.dtype), self.ema_alpha)

    def logits(self, scores: Scores) -> Tensor:
        margins_B = torch.full_like(scores.targets, self.margin)
        threshold_B = add_angle(scores.targets.detach(), margins_B, "none")
        cosines_BK = scores.values
        harder_BK = cosines_BK * (self.t.to(cosines_BK.dtype) + cosines_BK)
        negatives_BK = torch.where(cosines_BK > threshold_B[:, None], harder_BK, cosines_BK)
        targets_B = add_angle(scores.targets, margins_B, self.beyond_pi)
        return self.scale * put_targets(negatives_BK, scores.labels, targets_B)

    def statistics(self) -> dict[str, float]:
        return {**super().statistics(), "t": self.t.item()}
