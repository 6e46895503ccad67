"""ArcFace: a constant added to the target angle."""

import torch
from torch import Tensor

from models.losses.angular import BeyondPi, add_angle, check_angle, straight_through
from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets
from models.losses.registry import Paper, preset, register


@register(
    "arcface",
    paper=Paper(
        "ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
        "CVPR 2019",
        "1801.07698",
    ),
    target="s·cos(θ + m)",
)
class ArcFace(MarginLoss):
    """`margin` in radians; `beyond_pi` says what happens past θ = π − m.

    The gradient is the formula's own. `detach_margin` treats the margin as a constant offset of
    the logit, as arcface_torch does since December 2022: ∂f/∂cos θ = s instead of
    s·sin(θ + m)/sin θ, so 6 times less at 5° and 20 times more at 150°.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_classes: int,
        scale: float = 64.0,
        margin: float = 0.5,
        beyond_pi: BeyondPi = "hard",
        detach_margin: bool = False,
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        check_angle(margin, beyond_pi)
        self.scale = scale
        self.margin = margin
        self.beyond_pi = beyond_pi
        self.detach_margin = detach_margin

    def logits(self, scores: Scores) -> Tensor:
        margins_B = torch.full_like(scores.targets, self.margin)
        targets_B = add_angle(scores.targets, margins_B, self.beyond_pi)
        if self.detach_margin:
            targets_B = straight_through(scores.targets, targets_B)
        return self.scale * put_targets(scores.values, scores.labels, targets_B)


preset(
    "arcface_torch",
    loss="arcface",
    source="deepinsight/insightface, arcface_torch since 2022-12",
    beyond_pi="none",
    detach_margin=True,
)
preset("arcface_monotone", loss="arcface", source="Norma", beyond_pi="monotone")
