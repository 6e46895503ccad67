"""ψ(θ) of L-Softmax and SphereFace: cos(mθ), unfolded so that it falls on all of [0, π]."""

import math

import torch
from torch import Tensor


def psi(cosines_B: Tensor, multiplier: int) -> Tensor:
    """ψ(θ) = (−1)^k cos(mθ) − 2k on θ ∈ [kπ/m, (k+1)π/m]; from 1 at θ = 0 to 1 − 2m at π."""
    pieces_B = piece(cosines_B, multiplier)
    signs_B = 1.0 - 2.0 * (pieces_B % 2)
    return signs_B * chebyshev(cosines_B, multiplier) - 2.0 * pieces_B


@torch.no_grad()
def piece(cosines_B: Tensor, multiplier: int) -> Tensor:
    """k of each angle; at θ = π the last piece, not one past it."""
    angles_B = cosines_B.clamp(-1.0, 1.0).acos()
    return (angles_B * (multiplier / math.pi)).floor().clamp_max(multiplier - 1)


def chebyshev(cosines_B: Tensor, degree: int) -> Tensor:
    """cos(degree·θ) from cos θ, by T(n+1) = 2c·T(n) − T(n−1): no acos, so no infinite slope."""
    before_B, now_B = torch.ones_like(cosines_B), cosines_B
    for _ in range(degree - 1):
        before_B, now_B = now_B, 2.0 * cosines_B * now_B - before_B
    return now_B
