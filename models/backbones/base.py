"""What every backbone is: a trunk of feature maps, then an output stage in full precision.

Shapes: B batch, C channels, D embedding dimension, H and W height and width.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch
from torch import Tensor, nn

INPUT_SIZE = 112
"""Side of the aligned crop, in pixels: the ArcFace template's."""

NormHead = Literal["frozen_bn", "free_bn", "none"]
"""The last normalisation. ArcFace's family freezes γ at 1, which pins E‖x‖² near D; MagFace needs a
norm that can move, so a learnable γ or none (losses.md of the field: MagFace's own code learns γ,
arcface_torch freezes it, AdaFace drops the affine part)."""


class Backbone(nn.Module, ABC):
    """Aligned crops to raw features.

    Input: (B, 3, 112, 112) float32, RGB, (x − 127.5) / 127.5, so in [−1, 1].
    Output: (B, D) float32, never normalised: its norm carries the quality.
    """

    def __init__(self, output: nn.Module, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.output = output

    @abstractmethod
    def trunk(self, images_B3HW: Tensor) -> Tensor:
        """Feature maps (B, C, h, w)."""

    def forward(self, images_B3HW: Tensor) -> Tensor:
        maps_BChw = self.trunk(images_B3HW)
        with _full_precision(maps_BChw.device):
            feature_BD: Tensor = self.output(maps_BChw.float())
        return feature_BD


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Autocast off. Only entered where it is on, so that exported graphs stay free of it."""
    kind = device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


def feature_norm(dim: int, norm_head: NormHead) -> nn.Module:
    """The layer that `norm_head` names; ValueError for another name."""
    if norm_head not in get_args(NormHead):
        raise ValueError(f"norm_head is one of {', '.join(get_args(NormHead))}; not {norm_head!r}")
    if norm_head == "none":
        return nn.Identity()
    norm = nn.BatchNorm1d(dim)
    norm.weight.requires_grad_(norm_head == "free_bn")
    return norm


def scaled(channels: int, width: float) -> int:
    """`channels` × `width`, to the nearest multiple of 8, and 8 at least."""
    return max(8, round(channels * width / 8) * 8)
