"""A small vision transformer (arXiv:2010.11929; the tiny size of DeiT, arXiv:2012.12877).

Patches of 8 pixels give 14 × 14 tokens of a 112 × 112 crop. No class token: the tokens go back to
their places and the global depthwise output weighs each place, since an aligned face has its
eyes always in the same ones.

Shapes: B batch, N tokens, E width of a token.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbones.base import INPUT_SIZE, Backbone, NormHead
from models.backbones.layers import initialise
from models.backbones.output import depthwise_output
from models.backbones.registry import register

HEAD_WIDTH = 64
HEADS = 3
DEPTH = 12
PATCH = 8
SIDE = INPUT_SIZE // PATCH


class DropPath(nn.Module):
    """Leaves a residual branch out for a whole sample (stochastic depth, arXiv:1603.09382)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x_BNE: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x_BNE
        kept_B11 = torch.rand(len(x_BNE), 1, 1, device=x_BNE.device) >= self.rate
        return x_BNE * kept_B11 / (1 - self.rate)


class Attention(nn.Module):
    """Multi-head self-attention with heads of 64."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)

    def forward(self, x_BNE: Tensor) -> Tensor:
        heads = self.qkv(x_BNE).unflatten(2, (3, -1, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value)
        mixed_BNE: Tensor = self.mix(attended.transpose(1, 2).flatten(2))
        return mixed_BNE


class Block(nn.Module):
    """Pre-norm attention, then a pre-norm perceptron of four times the width."""

    def __init__(self, width: int, drop_path: float) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width), DropPath(drop_path))
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            DropPath(drop_path),
        )

    def forward(self, x_BNE: Tensor) -> Tensor:
        x_BNE = x_BNE + self.attention(x_BNE)
        summed_BNE: Tensor = x_BNE + self.perceptron(x_BNE)
        return summed_BNE


class VisionTransformer(Backbone):
    """`width` is the width of a token; the drop rate of paths grows linearly with depth."""

    def __init__(self, dim: int, width: int, drop_path: float, norm_head: NormHead) -> None:
        super().__init__(depthwise_output(width, SIDE, dim, norm_head=norm_head), dim)
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.positions_1NE = nn.Parameter(torch.zeros(1, SIDE * SIDE, width))
        self.blocks = nn.Sequential(
            *(Block(width, drop_path * depth / (DEPTH - 1)) for depth in range(DEPTH))
        )
        self.norm = nn.LayerNorm(width)
        initialise(self)
        self._shrink_residuals()

    def _shrink_residuals(self) -> None:
        """ViT's own 0.02 inside the blocks, so that a fresh block is close to the identity."""
        nn.init.trunc_normal_(self.positions_1NE, std=0.02)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)

    def trunk(self, images_B3HW: Tensor) -> Tensor:
        tokens_BNE = self.patches(images_B3HW).flatten(2).transpose(1, 2) + self.positions_1NE
        tokens_BNE = self.norm(self.blocks(tokens_BNE))
        maps_BEhw: Tensor = tokens_BNE.transpose(1, 2).unflatten(2, (SIDE, SIDE))
        return maps_BEhw


@register("vit_tiny", "ViT, arXiv:2010.11929; DeiT-Ti, arXiv:2012.12877")
def vit_tiny(
    dim: int,
    *,
    width: float = 1.0,
    norm_head: NormHead = "frozen_bn",
    drop_path: float = 0.0,
) -> VisionTransformer:
    """`width` scales the three heads of 64 (rounded to whole heads); train it with AdamW."""
    heads = max(1, round(HEADS * width))
    return VisionTransformer(dim, heads * HEAD_WIDTH, drop_path, norm_head)
