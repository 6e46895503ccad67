"""L-Softmax: the target angle times an integer, weights and features unnormalised."""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.losses.annealing import AnnealedPsi, Annealing
from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets, reciprocal
from models.losses.registry import Paper, preset, register

MNIST = Annealing(base=1000.0, gamma=2.5e-5, power=35.0, floor=0.0)


@register(
    "l_softmax",
    paper=Paper(
        "Large-Margin Softmax Loss for Convolutional Neural Networks", "ICML 2016", "1612.02295"
    ),
    target="‖W_y‖‖x‖·(λ cos θ + ψ(θ))/(1 + λ)",
)
class LSoftmax(MarginLoss):
    """`margin` is the integer multiplier of the angle; `anneal` a schedule or a constant for λ.

    `anneal=None` means λ = 0: the whole margin from the first step, which rarely converges.
    """

    wants_free_norm = True

    def __init__(
        self,
        *,
        dim: int,
        num_classes: int,
        margin: float = 4,
        anneal: Annealing | float | None = MNIST,
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        self.psi = AnnealedPsi(margin, anneal)

    def similarity(
        self, features_BD: Tensor, weight_KD: Tensor, classes_K: Tensor | None
    ) -> Tensor:
        return F.linear(features_BD, weight_KD)

    def observe(self, norms_B: Tensor, targets_B: Tensor) -> None:
        self.psi.advance()

    def logits(self, scores: Scores) -> Tensor:
        rows_BD = scores.weight[scores.labels.clamp_min(0)]
        lengths_B = torch.linalg.vector_norm(rows_BD, dim=1) * scores.norms
        cosines_B = scores.targets * reciprocal(lengths_B)
        return put_targets(scores.values, scores.labels, lengths_B * self.psi(cosines_B))

    def statistics(self) -> dict[str, float]:
        return {**super().statistics(), "lambda": self.psi.weight().item()}


preset(
    "l_softmax_cifar",
    loss="l_softmax",
    source="wy1iu/LargeMargin_Softmax_Loss, CIFAR prototxt",
    margin=2,
    anneal=Annealing(base=1000.0, gamma=2e-5, power=45.0, floor=0.0),
)
