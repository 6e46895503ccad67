"""Backbones: aligned crops (B, 3, 112, 112) to raw features (B, dim), one registry for all."""

# The order of these imports is the order of the registry, and of TABLE.md.
from models.backbones import iresnet as _iresnet  # noqa: F401
from models.backbones import mobilefacenet as _mobilefacenet  # noqa: F401
from models.backbones import mobilenetv4 as _mobilenetv4  # noqa: F401
from models.backbones import vit as _vit  # noqa: F401
from models.backbones.base import INPUT_SIZE, Backbone, NormHead
from models.backbones.registry import build, names, register

__all__ = ["INPUT_SIZE", "Backbone", "NormHead", "build", "names", "register"]
