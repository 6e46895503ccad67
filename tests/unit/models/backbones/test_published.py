"""Sizes against those that were published, and the generated table."""

from pathlib import Path

import pytest
import torch

from models.backbones import build
from models.backbones.table import cost, markdown

TABLE = Path(__file__).parents[4] / "models" / "backbones" / "TABLE.md"


@pytest.mark.parametrize(
    ("name", "dim", "parameters"),
    [
        ("iresnet50", 512, 43.6e6),  # ArcFace's and MagFace's tables
        ("iresnet100", 512, 65.2e6),
        ("mobilefacenet", 128, 0.99e6),  # the paper, section 4.1
    ],
)
def test_parameters_are_as_published(name: str, dim: int, parameters: float) -> None:
    assert cost(name, dim).parameters == pytest.approx(parameters, rel=0.015)


@pytest.mark.parametrize(
    ("name", "dim", "macs"),
    [("mobilefacenet", 128, 221e6), ("iresnet50", 512, 6.31e9), ("iresnet100", 512, 12.1e9)],
)
def test_macs_are_as_published(name: str, dim: int, macs: float) -> None:
    assert cost(name, dim).macs == pytest.approx(macs, rel=0.01)


def test_the_mobilenetv4_trunk_has_the_published_parameters() -> None:
    """3,774,024 in all, less its 960 → 1280 layer with BN and its 1,000 classes."""
    with torch.device("meta"):
        trunk = build("mobilenetv4_conv_small").layers
    published = 3_774_024 - (960 * 1280 + 2 * 1280) - (1280 * 1000 + 1000)
    assert sum(weight.numel() for weight in trunk.parameters()) == published


def test_the_vision_transformer_has_tiny_blocks() -> None:
    """DeiT-Ti: 12 blocks of width 192, 5.34 M parameters between the tokens and the last norm."""
    with torch.device("meta"):
        blocks = build("vit_tiny").blocks
    one = 192 * 4 + (192 + 1) * 3 * 192 + (192 + 1) * 192 + (192 + 1) * 768 + (768 + 1) * 192
    assert sum(weight.numel() for weight in blocks.parameters()) == 12 * one


def test_the_committed_table_is_fresh() -> None:
    assert TABLE.read_text(encoding="utf-8") == markdown()
