"""The two output stages: all positions through one matrix, or one weight per channel and position.

Shapes: B batch, C channels, D embedding dimension.
"""

from torch import nn

from models.backbones.base import NormHead, feature_norm


def dense_output(
    channels: int, side: int, dim: int, *, norm_head: NormHead, dropout: float = 0.0
) -> nn.Sequential:
    """(B, C, side, side) → (B, D): BN, dropout, flatten, linear, last norm (IResNet's)."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.Dropout(dropout),
        nn.Flatten(1),
        nn.Linear(channels * side * side, dim),
        feature_norm(dim, norm_head),
    )


def depthwise_output(channels: int, side: int, dim: int, *, norm_head: NormHead) -> nn.Sequential:
    """(B, C, side, side) → (B, D): global depthwise convolution, BN, linear, last norm.

    The convolution weighs each position of an aligned face by itself, which average pooling
    cannot (MobileFaceNets, arXiv:1804.07573, section 3.1).
    """
    return nn.Sequential(
        nn.Conv2d(channels, channels, side, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.Flatten(1),
        nn.Linear(channels, dim, bias=False),
        feature_norm(dim, norm_head),
    )
