"""ElasticFace: every sample draws its own margin, so classes may be of different widths."""

from typing import Literal

import torch
from torch import Tensor

from models.losses.angular import BeyondPi, add_angle, check_angle
from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets
from models.losses.registry import Paper, preset, register


@register(
    "elasticface",
    paper=Paper(
        "ElasticFace: Elastic Margin Loss for Deep Face Recognition", "CVPRW 2022", "2109.09416"
    ),
    target="s·cos(θ + m_i) or s·(cos θ − m_i), m_i ~ N(m, σ)",
)
class ElasticFace(MarginLoss):
    """`kind` "arc" (radians) or "cos"; `plus` hands the larger margins to the worse samples.

    Margins come from PyTorch's generator of the device, so they resume with it. In evaluation
    every margin is the mean.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_classes: int,
        scale: float = 64.0,
        margin: float = 0.5,
        std: float = 0.05,
        kind: Literal["arc", "cos"] = "arc",
        plus: bool = False,
        beyond_pi: BeyondPi = "none",
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        check_angle(margin, beyond_pi)
        if kind not in ("arc", "cos"):
            raise ValueError(f"kind is arc or cos; got {kind!r}")
        self.scale = scale
        self.margin = margin
        self.std = std
        self.kind = kind
        self.plus = plus
        self.beyond_pi = beyond_pi

    def draw(self, targets_B: Tensor) -> Tensor:
        """The margin of each row."""
        margins_B = torch.full_like(targets_B, self.margin)
        if not self.training:
            return margins_B
        margins_B = margins_B + self.std * torch.randn_like(margins_B)
        if not self.plus:
            return margins_B
        best_first_B = targets_B.argsort(descending=True)
        return torch.empty_like(margins_B).index_copy(0, best_first_B, margins_B.sort().values)

    def logits(self, scores: Scores) -> Tensor:
        margins_B = self.draw(scores.targets.detach())
        if self.kind == "arc":
            targets_B = add_angle(scores.targets, margins_B, self.beyond_pi)
        else:
            targets_B = scores.targets - margins_B
        return self.scale * put_targets(scores.values, scores.labels, targets_B)


_SOURCE = "fdbtrs/ElasticFace, config"
preset("elasticface_arc_plus", loss="elasticface", source=_SOURCE, std=0.0175, plus=True)
preset("elasticface_cos", loss="elasticface", source=_SOURCE, kind="cos", margin=0.35)
preset(
    "elasticface_cos_plus",
    loss="elasticface",
    source=_SOURCE,
    kind="cos",
    margin=0.35,
    std=0.02,
    plus=True,
)
