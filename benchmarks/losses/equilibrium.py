"""Where MagFace wants a sample's length to settle, by the sample's angle to its class.

For one free length and the other classes at 90°, the minimum of the loss over [l_a, u_a].
"""

import torch
from torch import Tensor

from models import losses
from models.losses.angular import add_angle
from models.losses.magface import MagFace

SETTINGS: dict[str, tuple[str, int, float]] = {
    "157 classes, scale 32 (this study)": ("magface", 157, 32.0),
    "157 classes, scale 32, easy margin": ("magface_repo", 157, 32.0),
    "85 742 classes, scale 64 (MS1MV2)": ("magface", 85_742, 64.0),
    "85 742 classes, scale 64, easy margin": ("magface_repo", 85_742, 64.0),
}
ANGLES = (10, 20, 30, 40, 45, 50, 60, 70, 80, 90, 100, 120)


def equilibria() -> dict[str, list[float]]:
    """The best lengths at `ANGLES` under each of `SETTINGS`."""
    built = {
        title: losses.build(name, dim=8, num_classes=classes, scale=scale)
        for title, (name, classes, scale) in SETTINGS.items()
    }
    return {title: best_lengths(loss) for title, loss in built.items() if isinstance(loss, MagFace)}


def best_lengths(
    loss: MagFace, degrees: tuple[int, ...] = ANGLES, points: int = 2001
) -> list[float]:
    """The best length of each angle, to 1/20 of a unit with the default range."""
    length_K = torch.linspace(loss.l_a, loss.u_a, points, dtype=torch.float64)
    return [length_K[_loss_at(loss, angle, length_K).argmin()].item() for angle in degrees]


def _loss_at(loss: MagFace, degrees: int, length_K: Tensor) -> Tensor:
    cosine_K = torch.full_like(length_K, degrees).deg2rad().cos()
    target_K = loss.scale * add_angle(cosine_K, loss.margins(length_K), loss.beyond_pi)
    others = torch.tensor(len(loss.weight) - 1.0, dtype=torch.float64).log()
    return torch.logaddexp(target_K, others) - target_K + loss.penalty(length_K)
