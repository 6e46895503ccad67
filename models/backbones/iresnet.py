"""IResNet: the residual network of ArcFace (arXiv:1801.07698, "LResNet…E-IR").

Blocks are BN–conv–BN–PReLU–conv–BN, the stem keeps the full resolution, and the last map
(512 × 7 × 7) goes through one matrix.
"""

from torch import Tensor, nn

from models.backbones.base import Backbone, NormHead, scaled
from models.backbones.layers import conv_norm, initialise
from models.backbones.output import dense_output
from models.backbones.registry import register

SOURCE = "ArcFace, arXiv:1801.07698"
STAGE_CHANNELS = (64, 128, 256, 512)


class ResidualBlock(nn.Module):
    """One pre-activated block; the stride is in the second convolution, as in the paper's IR."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            *conv_norm(inputs, outputs, 3, activation=nn.PReLU(outputs)),
            *conv_norm(outputs, outputs, 3, stride=stride),
        )
        changes = stride != 1 or inputs != outputs
        self.shortcut = conv_norm(inputs, outputs, stride=stride) if changes else nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        summed: Tensor = self.residual(x_BCHW) + self.shortcut(x_BCHW)
        return summed


class IResNet(Backbone):
    """`depths`: residual blocks in each of the four stages."""

    def __init__(
        self, dim: int, depths: tuple[int, int, int, int], width: float, output: nn.Module
    ) -> None:
        super().__init__(output, dim)
        stem = scaled(STAGE_CHANNELS[0], width)
        self.stem = conv_norm(3, stem, 3, activation=nn.PReLU(stem))
        self.stages = nn.Sequential()
        inputs = stem
        for depth, channels in zip(depths, STAGE_CHANNELS, strict=True):
            outputs = scaled(channels, width)
            self.stages.append(_stage(inputs, outputs, depth))
            inputs = outputs
        initialise(self)

    def trunk(self, images_B3HW: Tensor) -> Tensor:
        maps_BC77: Tensor = self.stages(self.stem(images_B3HW))
        return maps_BC77


def _stage(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    first = ResidualBlock(inputs, outputs, stride=2)
    return nn.Sequential(first, *(ResidualBlock(outputs, outputs, 1) for _ in range(depth - 1)))


def _iresnet(
    dim: int,
    depths: tuple[int, int, int, int],
    width: float,
    norm_head: NormHead,
    dropout: float,
) -> IResNet:
    last = scaled(STAGE_CHANNELS[-1], width)
    output = dense_output(last, 7, dim, norm_head=norm_head, dropout=dropout)
    return IResNet(dim, depths, width, output)


@register("iresnet18", SOURCE)
def iresnet18(
    dim: int, *, width: float = 1.0, norm_head: NormHead = "frozen_bn", dropout: float = 0.0
) -> IResNet:
    """`dropout` is before the last matrix: 0 in arcface_torch, 0.4 in MagFace."""
    return _iresnet(dim, (2, 2, 2, 2), width, norm_head, dropout)


@register("iresnet34", SOURCE)
def iresnet34(
    dim: int, *, width: float = 1.0, norm_head: NormHead = "frozen_bn", dropout: float = 0.0
) -> IResNet:
    """See `iresnet18`."""
    return _iresnet(dim, (3, 4, 6, 3), width, norm_head, dropout)


@register("iresnet50", SOURCE)
def iresnet50(
    dim: int, *, width: float = 1.0, norm_head: NormHead = "frozen_bn", dropout: float = 0.0
) -> IResNet:
    """See `iresnet18`."""
    return _iresnet(dim, (3, 4, 14, 3), width, norm_head, dropout)


@register("iresnet100", SOURCE)
def iresnet100(
    dim: int, *, width: float = 1.0, norm_head: NormHead = "frozen_bn", dropout: float = 0.0
) -> IResNet:
    """See `iresnet18`."""
    return _iresnet(dim, (3, 13, 30, 3), width, norm_head, dropout)
