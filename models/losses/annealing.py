"""How L-Softmax and A-Softmax let their margin in: λ falls, ψ takes over."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.losses.psi import psi


@dataclass(frozen=True, slots=True)
class Annealing:
    """λ(n) = max(floor, base·(1 + gamma·n)^−power) at training iteration n = 1, 2, …"""

    base: float = 1000.0
    gamma: float = 0.12
    power: float = 1.0
    floor: float = 5.0

    @classmethod
    def constant(cls, value: float) -> "Annealing":
        return cls(base=value, gamma=0.0, power=0.0, floor=0.0)

    def at(self, iteration: Tensor) -> Tensor:
        """λ at an iteration, as a scalar tensor of the same float type."""
        return (self.base * (1.0 + self.gamma * iteration) ** -self.power).clamp_min(self.floor)


class AnnealedPsi(nn.Module):
    """(λ cos θ + ψ(θ)) / (1 + λ), with the iteration in the state."""

    iteration: Tensor

    def __init__(self, margin: float, anneal: Annealing | float | None) -> None:
        super().__init__()
        if margin < 1 or margin != int(margin):
            raise ValueError(f"margin multiplies the angle: a whole number from 1; got {margin}")
        self.margin = int(margin)
        self.anneal = anneal if isinstance(anneal, Annealing) else Annealing.constant(anneal or 0.0)
        self.register_buffer("iteration", torch.zeros((), dtype=torch.int64))

    def advance(self) -> None:
        self.iteration += 1

    def weight(self) -> Tensor:
        """λ now."""
        return self.anneal.at(self.iteration.to(torch.float32))

    def forward(self, cosines_B: Tensor) -> Tensor:
        weight = self.weight().to(cosines_B.dtype)
        return (weight * cosines_B + psi(cosines_B, self.margin)) / (1.0 + weight)
