"""Softmax over scaled cosines: every margin loss with its margin taken away."""

from torch import Tensor

from models.losses.base import MarginLoss, Scores
from models.losses.registry import Paper, register


@register(
    "norm_softmax",
    paper=Paper(
        "NormFace: L2 Hypersphere Embedding for Face Verification", "ACM MM 2017", "1704.06369"
    ),
    target="s·cos θ",
)
class NormSoftmax(MarginLoss):
    """Features and weights on the unit sphere; the control for the margin losses."""

    def __init__(self, *, dim: int, num_classes: int, scale: float = 64.0) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        self.scale = scale

    def logits(self, scores: Scores) -> Tensor:
        return self.scale * scores.values
