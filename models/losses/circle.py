"""Circle loss against class weights: the further a similarity is from its optimum, the harder
it is pulled."""

from torch import Tensor

from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets
from models.losses.registry import Paper, preset, register

CIRCLE = Paper(
    "Circle Loss: A Unified Perspective of Pair Similarity Optimization", "CVPR 2020", "2002.10857"
)


def positive_logits(similarity: Tensor, margin: float, gamma: float) -> Tensor:
    """γ[1 + m − s]₊(s − (1 − m)); the bracket carries no gradient."""
    pull = (1.0 + margin - similarity.detach()).clamp_min(0.0)
    return gamma * pull * (similarity - (1.0 - margin))


def negative_logits(similarity: Tensor, margin: float, gamma: float) -> Tensor:
    """γ[s + m]₊(s − m); the bracket carries no gradient."""
    push = (similarity.detach() + margin).clamp_min(0.0)
    return gamma * push * (similarity - margin)


@register("circle", paper=CIRCLE, target="γ[1 + m − cos θ]₊(cos θ − (1 − m))")
class Circle(MarginLoss):
    """The classification form: one positive and C − 1 negatives, which is a softmax.

    The target logit falls on all of [0, π]. Non-target logits go by γ[cos θ + m]₊(cos θ − m),
    lowest at cos θ = 0.
    """

    def __init__(
        self, *, dim: int, num_classes: int, gamma: float = 256.0, margin: float = 0.25
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        self.gamma = gamma
        self.margin = margin

    def logits(self, scores: Scores) -> Tensor:
        negatives_BK = negative_logits(scores.values, self.margin, self.gamma)
        targets_B = positive_logits(scores.targets, self.margin, self.gamma)
        return put_targets(negatives_BK, scores.labels, targets_B)


preset("circle_reid", loss="circle", source="Circle loss, person re-identification", gamma=128.0)
