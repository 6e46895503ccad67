"""Does length learn a quality that is known? Synthetic classes whose samples carry their quality.

x = q·μ_y + √(1 − q²)·noise with q uniform in [0.2, 1]: the share of a sample that tells its class.
Every loss sees the same samples from the same weights. Shapes: N samples, D input dimensions.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from models import losses
from models.backbones.layers import initialise
from models.losses.magface import EquilibriumWarning
from models.losses.registry import Parameter

CLASSES = 200
INPUT = 64
HIDDEN = 256
DIM = 256
BATCH = 256
STEPS = 1200
LEARNING_RATE = 1e-3
TEST = 5000
ARMS: dict[str, tuple[str, dict[str, Parameter]]] = {
    "arcface": ("arcface", {"scale": 32.0}),
    "magface, λ_g = 35": ("magface", {"scale": 32.0}),
    "magface, λ_g = 60": ("magface", {"scale": 32.0, "lambda_g": 60.0}),
    "magface, λ_g = 0": ("magface", {"scale": 32.0, "lambda_g": 0.0}),
    "magface, easy margin": ("magface_repo", {"scale": 32.0}),
}


@dataclass(frozen=True, slots=True)
class World:
    """Class means of unit length, (C, D)."""

    means: Tensor

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(samples (N, D), labels (N,), qualities (N,))."""
        labels = torch.randint(len(self.means), (count,), generator=generator)
        quality = 0.2 + 0.8 * torch.rand(count, generator=generator)
        noise = torch.randn(count, INPUT, generator=generator) / INPUT**0.5
        told = quality[:, None] * self.means[labels]
        return told + (1 - quality[:, None] ** 2).sqrt() * noise, labels, quality


def new_world(generator: torch.Generator) -> World:
    means = torch.randn(CLASSES, INPUT, generator=generator)
    return World(nn.functional.normalize(means))


def measure_arm(arm: str, seed: int, steps: int = STEPS) -> dict[str, object]:
    """Spearman of the known quality and the length, on fresh samples of the same classes."""
    generator = torch.Generator().manual_seed(seed)
    world = new_world(generator)
    network = train_arm(arm, seed, world, generator, steps)
    samples, _, quality = world.draw(TEST, torch.Generator().manual_seed(1000 + seed))
    with torch.inference_mode():
        norm = torch.linalg.vector_norm(network(samples), dim=1).numpy()
    return {
        "spearman": float(spearmanr(quality.numpy(), norm).statistic),
        "quintiles": by_quintile(quality.numpy(), norm),
        "below_l_a": float((norm < 10.0).mean()),
    }


def train_arm(
    arm: str, seed: int, world: World, generator: torch.Generator, steps: int
) -> nn.Module:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(INPUT, HIDDEN),
        nn.BatchNorm1d(HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.BatchNorm1d(HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, DIM),
    )
    initialise(network)  # lengths start near 11, above l_a = 10: below it MagFace has no gradient
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquilibriumWarning)  # λ_g = 0 is a control
        name, parameters = ARMS[arm]
        loss = losses.build(name, dim=DIM, num_classes=CLASSES, **parameters)
    optimiser = torch.optim.Adam([*network.parameters(), *loss.parameters()], lr=LEARNING_RATE)
    for _ in range(steps):
        samples, labels, _ = world.draw(BATCH, generator)
        optimiser.zero_grad()
        loss(network(samples), labels).loss.backward()
        optimiser.step()
    return network.eval()


def by_quintile(quality: NDArray[np.floating], norm: NDArray[np.floating]) -> list[float]:
    """Mean norm of each fifth of the samples, from the lowest quality to the highest."""
    fifths = np.array_split(np.argsort(quality), 5)
    return [round(float(norm[rows].mean()), 2) for rows in fifths]
