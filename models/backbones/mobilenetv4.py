"""MobileNetV4-Conv-Small (arXiv:2404.10518, table 11) for aligned faces.

Departures, both for 112 × 112 crops: the stem keeps the full resolution, so the maps inside have
the sizes that the published network has at 224 × 224; and the average pooling with its 1280-wide
layer gives way to the global depthwise output. ReLU throughout: no PReLU to slow a CPU runtime.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from models.backbones.base import Backbone, NormHead, scaled
from models.backbones.layers import conv_norm, initialise
from models.backbones.output import depthwise_output
from models.backbones.registry import register


@dataclass(frozen=True, slots=True)
class Uib:
    """A universal inverted bottleneck: kernel 0 leaves that depthwise convolution out.

    (start, middle) = (k, k) is ExtraDW, (0, k) the inverted bottleneck, (k, 0) ConvNeXt-like.
    """

    channels: int
    start: int
    middle: int
    expansion: int
    stride: int = 1


BLOCKS = (
    Uib(96, start=5, middle=5, expansion=3, stride=2),
    *(4 * (Uib(96, start=0, middle=3, expansion=2),)),
    Uib(96, start=3, middle=0, expansion=4),
    Uib(128, start=3, middle=3, expansion=6, stride=2),
    Uib(128, start=5, middle=5, expansion=4),
    Uib(128, start=0, middle=5, expansion=4),
    Uib(128, start=0, middle=5, expansion=3),
    *(2 * (Uib(128, start=0, middle=3, expansion=4),)),
)
LAST_CHANNELS = 960


class UniversalBottleneck(nn.Module):
    """The block that a `Uib` describes."""

    def __init__(self, inputs: int, outputs: int, uib: Uib) -> None:
        super().__init__()
        inner = scaled(inputs, uib.expansion)
        self.adds = uib.stride == 1 and inputs == outputs
        self.layers = nn.Sequential()
        # The stride falls on the middle convolution where there is one.
        if uib.start:
            stride = 1 if uib.middle else uib.stride
            self.layers.append(conv_norm(inputs, inputs, uib.start, stride=stride, groups=inputs))
        self.layers.append(conv_norm(inputs, inner, activation=nn.ReLU()))
        if uib.middle:
            self.layers.append(_depthwise(inner, uib.middle, uib.stride))
        self.layers.append(conv_norm(inner, outputs))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        projected: Tensor = self.layers(x_BCHW)
        return x_BCHW + projected if self.adds else projected


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Sequential:
    return conv_norm(
        channels, channels, kernel, stride=stride, groups=channels, activation=nn.ReLU()
    )


class MobileNetV4ConvSmall(Backbone):
    """1.26 M parameters before the output stage, as published."""

    def __init__(self, dim: int, width: float, norm_head: NormHead) -> None:
        last = scaled(LAST_CHANNELS, width)
        super().__init__(depthwise_output(last, 7, dim, norm_head=norm_head), dim)
        narrow, middle, wide = (scaled(channels, width) for channels in (32, 64, 96))
        self.layers = nn.Sequential(
            conv_norm(3, narrow, 3, activation=nn.ReLU()),
            conv_norm(narrow, narrow, 3, stride=2, activation=nn.ReLU()),
            conv_norm(narrow, narrow, activation=nn.ReLU()),
            conv_norm(narrow, wide, 3, stride=2, activation=nn.ReLU()),
            conv_norm(wide, middle, activation=nn.ReLU()),
        )
        channels = middle
        for uib in BLOCKS:
            outputs = scaled(uib.channels, width)
            self.layers.append(UniversalBottleneck(channels, outputs, uib))
            channels = outputs
        self.layers.append(conv_norm(channels, last, activation=nn.ReLU()))
        initialise(self)

    def trunk(self, images_B3HW: Tensor) -> Tensor:
        maps_BC77: Tensor = self.layers(images_B3HW)
        return maps_BC77


@register("mobilenetv4_conv_small", "MobileNetV4, arXiv:2404.10518")
def mobilenetv4_conv_small(
    dim: int, *, width: float = 1.0, norm_head: NormHead = "frozen_bn"
) -> MobileNetV4ConvSmall:
    """The paper's Conv-S trunk at `width` 1."""
    return MobileNetV4ConvSmall(dim, width, norm_head)
