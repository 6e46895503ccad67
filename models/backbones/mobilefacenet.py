"""MobileFaceNet (arXiv:1804.07573, table 1): inverted residuals and a global depthwise output."""

from dataclasses import dataclass

from torch import Tensor, nn

from models.backbones.base import Backbone, NormHead, scaled
from models.backbones.layers import conv_norm, initialise
from models.backbones.output import depthwise_output
from models.backbones.registry import register


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the paper's table: `repeats` bottlenecks, the first with `stride`."""

    expansion: int
    channels: int
    repeats: int
    stride: int


STAGES = (
    Stage(expansion=2, channels=64, repeats=5, stride=2),
    Stage(expansion=4, channels=128, repeats=1, stride=2),
    Stage(expansion=2, channels=128, repeats=6, stride=1),
    Stage(expansion=4, channels=128, repeats=1, stride=2),
    Stage(expansion=2, channels=128, repeats=2, stride=1),
)
STEM_CHANNELS = 64
LAST_CHANNELS = 512


class Bottleneck(nn.Module):
    """Expand, filter each channel, project without activation; added to its input if it fits."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            *conv_norm(inputs, inner, activation=nn.PReLU(inner)),
            *conv_norm(inner, inner, 3, stride=stride, groups=inner, activation=nn.PReLU(inner)),
            *conv_norm(inner, outputs),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        projected: Tensor = self.layers(x_BCHW)
        return x_BCHW + projected if self.adds else projected


class MobileFaceNet(Backbone):
    """0.99 M parameters at 128 dimensions."""

    def __init__(self, dim: int, width: float, norm_head: NormHead) -> None:
        last = scaled(LAST_CHANNELS, width)
        super().__init__(depthwise_output(last, 7, dim, norm_head=norm_head), dim)
        channels = scaled(STEM_CHANNELS, width)
        self.layers = nn.Sequential(
            conv_norm(3, channels, 3, stride=2, activation=nn.PReLU(channels)),
            conv_norm(channels, channels, 3, groups=channels, activation=nn.PReLU(channels)),
        )
        for stage in STAGES:
            outputs = scaled(stage.channels, width)
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                self.layers.append(Bottleneck(channels, outputs, stage.expansion, stride))
                channels = outputs
        self.layers.append(conv_norm(channels, last, activation=nn.PReLU(last)))
        initialise(self)

    def trunk(self, images_B3HW: Tensor) -> Tensor:
        maps_BC77: Tensor = self.layers(images_B3HW)
        return maps_BC77


@register("mobilefacenet", "MobileFaceNets, arXiv:1804.07573")
def mobilefacenet(
    dim: int, *, width: float = 1.0, norm_head: NormHead = "frozen_bn"
) -> MobileFaceNet:
    """The paper's network at `width` 1."""
    return MobileFaceNet(dim, width, norm_head)
