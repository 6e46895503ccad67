"""cos(θ + m), and what takes its place once θ + m passes π."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

BeyondPi = Literal["hard", "easy", "monotone", "none"]
"""What the target logit becomes where θ + m > π, as cosine c = cos θ:

* `hard`: c − m·sin m (ArcFace). Falls all the way to θ = π, with a jump at π − m.
* `monotone`: −2 − cos(θ + m). Falls all the way, and is continuous with its derivative.
* `easy`: c wherever θ > 90° (ArcFace, MagFace's default). Jumps *up* at 90°.
* `none`: cos(θ + m) as it is (arcface_torch, ElasticFace). Rises again past π − m.
"""


def check_angle(margin: float, beyond_pi: str) -> None:
    """Raises ValueError for a margin that is no angle in radians, or an unknown rule."""
    if not 0.0 <= margin < math.pi:
        raise ValueError(f"margin is an angle in radians, in [0, π); got {margin}")
    if beyond_pi not in get_args(BeyondPi):
        raise ValueError(f"beyond_pi is one of {', '.join(get_args(BeyondPi))}; got {beyond_pi!r}")


def add_angle(cosines_B: Tensor, margins_B: Tensor, beyond_pi: BeyondPi) -> Tensor:
    """The cosine after each angle grew by its margin (radians); finite, gradient too, at ±1."""
    shifted_B = cosines_B * margins_B.cos() - sines(cosines_B) * margins_B.sin()
    if beyond_pi == "none":
        return shifted_B
    if beyond_pi == "easy":
        return torch.where(cosines_B > 0, shifted_B, cosines_B)
    instead_B = (
        -2.0 - shifted_B if beyond_pi == "monotone" else hard_extension(cosines_B, margins_B)
    )
    return torch.where(cosines_B > -margins_B.cos(), shifted_B, instead_B)


def hard_extension(cosines_B: Tensor, margins_B: Tensor) -> Tensor:
    return cosines_B - margins_B * margins_B.sin()


def sines(cosines_B: Tensor) -> Tensor:
    """√(1 − c²). At |c| ≥ 1 the true slope is infinite: there the gradient is 0."""
    floor = torch.finfo(cosines_B.dtype).eps ** 2  # under every 1 − c² that is not exactly 0
    return ((1.0 - cosines_B) * (1.0 + cosines_B)).clamp_min(floor).sqrt()


def straight_through(cosines_B: Tensor, replaced_B: Tensor) -> Tensor:
    """The value of `replaced_B` with the gradient of `cosines_B`."""
    return cosines_B + (replaced_B - cosines_B).detach()
