"""Circle loss over the pairs of a batch; feed it with a P×K sampler."""

import torch
from torch import Tensor

from models.losses.base import MarginLoss, Scores
from models.losses.circle import CIRCLE, negative_logits, positive_logits
from models.losses.geometry import cosines, directions
from models.losses.registry import preset, register


@register(
    "circle_pair", paper=CIRCLE, target="per anchor: log(1 + Σ exp(negatives)·Σ exp(−positives))"
)
class CirclePair(MarginLoss):
    """The pair form, per anchor, averaged over anchors that have a positive and a negative.

    Nothing learns class weights here: `weight` holds the last mean direction seen of each class,
    without gradient, so that `logits` (γ times the cosine to it) show how well the training
    classes separate. Pairs are those of one rank.
    """

    samples_classes = False

    def __init__(
        self, *, dim: int, num_classes: int, gamma: float = 256.0, margin: float = 0.25
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        self.weight.requires_grad_(False)
        self.gamma = gamma
        self.margin = margin

    def logits(self, scores: Scores) -> Tensor:
        logits_BC = self.gamma * scores.values
        if self.training:
            self._remember(scores)
        return logits_BC

    def per_sample(self, scores: Scores, logits_BK: Tensor) -> Tensor:
        same_BB = scores.labels[:, None] == scores.labels[None, :]
        positive_BB = same_BB & ~torch.eye(len(same_BB), dtype=torch.bool, device=same_BB.device)
        similarity_BB = cosines(scores.features, scores.features)
        pulls_BB = -positive_logits(similarity_BB, self.margin, self.gamma)
        pushes_BB = negative_logits(similarity_BB, self.margin, self.gamma)
        total_B = _log_sum_exp(pulls_BB, positive_BB) + _log_sum_exp(pushes_BB, ~same_BB)
        return torch.logaddexp(total_B, torch.zeros_like(total_B))

    def mean(self, scores: Scores, per_sample_B: Tensor) -> Tensor:
        return per_sample_B.sum() / _valid(scores.labels).sum().clamp_min(1)

    @torch.no_grad()
    def _remember(self, scores: Scores) -> None:
        unit_BD = directions(scores.features.detach()).to(self.weight.dtype)
        sums_CD = torch.zeros_like(self.weight).index_add_(0, scores.labels, unit_BD)
        seen_C = torch.bincount(scores.labels, minlength=len(self.weight)) > 0
        self.weight.copy_(torch.where(seen_C[:, None], directions(sums_CD), self.weight))


def _valid(labels_B: Tensor) -> Tensor:
    """Anchors with at least one positive and one negative."""
    same_B = (labels_B[:, None] == labels_B[None, :]).sum(1)
    return (same_B > 1) & (same_B < len(labels_B))


def _log_sum_exp(values_BB: Tensor, keep_BB: Tensor) -> Tensor:
    """log Σ exp over the kept entries; so low where there are none that the anchor's loss is 0.

    Not −∞, whose gradient would be NaN.
    """
    nothing = torch.finfo(values_BB.dtype).min / 4
    return values_BB.masked_fill(~keep_BB, nothing).logsumexp(1)


preset("circle_pair_reid", loss="circle_pair", source="Circle loss, re-identification", gamma=128.0)
preset(
    "circle_pair_retrieval",
    loss="circle_pair",
    source="Circle loss, fine-grained retrieval",
    gamma=80.0,
    margin=0.4,
)
