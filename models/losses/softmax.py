"""Plain softmax cross-entropy over W·x + b, and its cosine form."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.losses.base import MarginLoss, Scores, chosen
from models.losses.registry import Paper, register


@register(
    "softmax",
    paper=Paper("DeepFace: Closing the Gap to Human-Level Performance", "CVPR 2014"),
    target="W_y·x + b_y",
)
class Softmax(MarginLoss):
    """Linear classifier with bias. The norm is a confidence, not a calibrated quality."""

    wants_free_norm = True
    per_class = ("weight", "bias")

    def __init__(self, *, dim: int, num_classes: int) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def similarity(
        self, features_BD: Tensor, weight_KD: Tensor, classes_K: Tensor | None
    ) -> Tensor:
        return F.linear(features_BD, weight_KD, chosen(self.bias, classes_K).to(weight_KD.dtype))

    def logits(self, scores: Scores) -> Tensor:
        return scores.values
