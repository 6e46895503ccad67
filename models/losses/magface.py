"""MagFace: the margin grows with the feature's length, so length becomes quality."""

import warnings

import torch
from torch import Tensor

from models.losses.angular import BeyondPi, add_angle, check_angle
from models.losses.base import MarginLoss, Scores
from models.losses.geometry import put_targets
from models.losses.registry import Paper, preset, register


class EquilibriumWarning(UserWarning):
    """λ_g is too small for every sample to have one best length inside [l_a, u_a]."""


@register(
    "magface",
    paper=Paper(
        "MagFace: A Universal Representation for Face Recognition and Quality Assessment",
        "CVPR 2021",
        "2103.06627",
    ),
    target="s·cos(θ + m(a)), loss + λ_g·g(a)",
)
class MagFace(MarginLoss):
    """m(a) grows linearly from `l_m` to `u_m` (radians) while a = |x| goes from `l_a` to `u_a`.

    The growing margin pushes lengths down, least for samples near their class; the penalty
    g(a) = 1/a + a/u_a², which falls up to u_a, pushes them up. Where they balance, length orders
    quality. `beyond_pi="easy"`, the original's default, takes the margin away past 90°, so there
    only g acts and the *worst* samples grow the longest: hence `hard` here. No form orders every
    angle: past 60° the best length climbs again, since sin(θ + m) vanishes at π. With the defaults
    and 85 742 orthogonal classes it is 12 at 60°, 56 at 145° and 13 from 155° (`monotone`: 12, 63,
    then 36 falling to 20).

    Outside [l_a, u_a] neither m nor g has a gradient, as in the original. With `free_penalty` g
    goes on there (below l_a along its tangent), so that short features can grow into the range;
    a last BN of width 64 starts 96 % of them below l_a = 10.
    """

    wants_free_norm = True

    def __init__(
        self,
        *,
        dim: int,
        num_classes: int,
        scale: float = 64.0,
        l_a: float = 10.0,
        u_a: float = 110.0,
        l_m: float = 0.45,
        u_m: float = 0.8,
        lambda_g: float = 35.0,
        beyond_pi: BeyondPi = "hard",
        free_penalty: bool = False,
    ) -> None:
        super().__init__(dim=dim, num_classes=num_classes)
        if not 0.0 < l_a < u_a or not l_m <= u_m:
            raise ValueError(f"need 0 < l_a < u_a and l_m ≤ u_m; got {l_a}, {u_a}, {l_m}, {u_m}")
        check_angle(l_m, beyond_pi)
        check_angle(u_m, beyond_pi)
        self.scale = scale
        self.l_a, self.u_a, self.l_m, self.u_m = l_a, u_a, l_m, u_m
        self.lambda_g = lambda_g
        self.beyond_pi = beyond_pi
        self.free_penalty = free_penalty
        if lambda_g < self.lambda_bound:
            warnings.warn(self._too_small(), EquilibriumWarning, stacklevel=2)

    @property
    def slope(self) -> float:
        """m'(a), radians per unit of length."""
        return (self.u_m - self.l_m) / (self.u_a - self.l_a)

    @property
    def lambda_bound(self) -> float:
        """The paper's sufficient λ_g for one optimum inside [l_a, u_a]: s·K·u²l²/(u² − l²)."""
        lower, upper = self.l_a**2, self.u_a**2
        return self.scale * self.slope * upper * lower / (upper - lower)

    def margins(self, norms_B: Tensor) -> Tensor:
        """m(a), radians, (B,)."""
        return self.l_m + self.slope * (norms_B.clamp(self.l_a, self.u_a) - self.l_a)

    def regulariser(self, norms_B: Tensor) -> Tensor:
        """g(a), without λ_g, (B,)."""
        inside_B = norms_B.clamp(self.l_a, self.u_a)
        if not self.free_penalty:
            return self._g(inside_B)
        tangent = 1.0 / self.u_a**2 - 1.0 / self.l_a**2
        below_B = (norms_B - self.l_a).clamp_max(0.0)
        return self._g(norms_B.clamp_min(self.l_a)) + tangent * below_B

    def penalty(self, norms_B: Tensor) -> Tensor:
        return self.lambda_g * self.regulariser(norms_B)

    def logits(self, scores: Scores) -> Tensor:
        targets_B = add_angle(scores.targets, self.margins(scores.norms), self.beyond_pi)
        return self.scale * put_targets(scores.values, scores.labels, targets_B)

    @torch.no_grad()
    def statistics(self) -> dict[str, float]:
        """Also the mean margin (radians) and g, and which fraction of lengths the clamp holds."""
        if self._seen is None:
            return {}
        norms_B = self._seen.norms
        return {
            **super().statistics(),
            "margin_mean": self.margins(norms_B).mean().item(),
            "regulariser_mean": self.regulariser(norms_B).mean().item(),
            "fraction_below_l_a": (norms_B < self.l_a).double().mean().item(),
            "fraction_above_u_a": (norms_B > self.u_a).double().mean().item(),
        }

    def _g(self, norms_B: Tensor) -> Tensor:
        return 1.0 / norms_B + norms_B / self.u_a**2

    def _too_small(self) -> str:
        return (
            f"lambda_g={self.lambda_g:g} is under {self.lambda_bound:.2f}: lengths may collapse "
            f"below l_a={self.l_a:g} instead of ordering quality"
        )


preset(
    "magface_repo",
    loss="magface",
    source="IrvingMeng/MagFace, run/run.sh",
    beyond_pi="easy",
    l_a=10.0,
    u_a=110.0,
    l_m=0.45,
    u_m=0.8,
    lambda_g=35.0,
)
preset("magface_monotone", loss="magface", source="Norma", beyond_pi="monotone")
