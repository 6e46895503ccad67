"""CosFace: a constant off the target cosine. No acos, so the safest in half precision."""

from torch import Tensor

from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets
from models.losses.registry import Paper, preset, register


@register(
    "cosface",
    paper=Paper(
        "CosFace: Large Margin Cosine Loss for Deep Face Recognition", "CVPR 2018", "1801.09414"
    ),
    target="s·(cos θ − m)",
)
class CosFace(MarginLoss):
    """`margin` is in units of cosine."""

    def __init__(
        self, *, dim: int, num_classes: int, scale: float = 64.0, margin: float = 0.35
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        self.scale = scale
        self.margin = margin

    def logits(self, scores: Scores) -> Tensor:
        targets_B = scores.targets - self.margin
        return self.scale * put_targets(scores.values, scores.labels, targets_B)


preset("cosface_insightface", loss="cosface", source="deepinsight/insightface", margin=0.4)
