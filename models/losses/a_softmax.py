"""A-Softmax (SphereFace): L-Softmax with class weights of length 1."""

from torch import Tensor
from torch.nn import functional as F

from models.losses.annealing import AnnealedPsi, Annealing
from models.losses.base import MarginLoss, Scores
from models.losses.geometry import directions, put_targets, reciprocal
from models.losses.registry import Paper, preset, register

SPHEREFACE = Annealing(base=1000.0, gamma=0.12, power=1.0, floor=5.0)


@register(
    "a_softmax",
    paper=Paper(
        "SphereFace: Deep Hypersphere Embedding for Face Recognition", "CVPR 2017", "1704.08063"
    ),
    target="‖x‖·(λ cos θ + ψ(θ))/(1 + λ)",
)
class ASoftmax(MarginLoss):
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
        anneal: Annealing | float | None = SPHEREFACE,
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        self.psi = AnnealedPsi(margin, anneal)

    def similarity(
        self, features_BD: Tensor, weight_KD: Tensor, classes_K: Tensor | None
    ) -> Tensor:
        return F.linear(features_BD, directions(weight_KD))

    def observe(self, norms_B: Tensor, targets_B: Tensor) -> None:
        self.psi.advance()

    def logits(self, scores: Scores) -> Tensor:
        cosines_B = scores.targets * reciprocal(scores.norms)
        targets_B = scores.norms * self.psi(cosines_B)
        return put_targets(scores.values, scores.labels, targets_B)

    def statistics(self) -> dict[str, float]:
        return {**super().statistics(), "lambda": self.psi.weight().item()}


preset(
    "a_softmax_pytorch",
    loss="a_softmax",
    source="clcarwin/sphereface_pytorch",
    anneal=Annealing(base=1500.0, gamma=0.1, power=1.0, floor=5.0),
)
