"""What holds for every registered backbone; a new one is tested by being registered."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.backbones import Backbone, build, names

Build = Callable[..., Backbone]
every_backbone = pytest.mark.parametrize("name", names())


def test_the_registry_holds_the_promised_backbones() -> None:
    assert names() == [
        "iresnet18",
        "iresnet34",
        "iresnet50",
        "iresnet100",
        "mobilefacenet",
        "mobilenetv4_conv_small",
        "vit_tiny",
    ]


def test_an_unknown_name_is_refused_with_the_choice() -> None:
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet'; choose from iresnet18"):
        build("resnet")


@every_backbone
def test_an_unknown_parameter_is_refused_with_the_choice(name: str) -> None:
    with pytest.raises(ValueError, match=r"takes width, norm_head.*; not depth"):
        build(name, depth=3)


@every_backbone
def test_an_unknown_norm_head_is_refused(name: str, small: Build) -> None:
    with pytest.raises(ValueError, match="norm_head is one of frozen_bn, free_bn, none"):
        small(name, norm_head="layer_norm")


@every_backbone
def test_features_have_the_shape_asked_for_and_every_weight_learns(
    name: str, small: Build, crops: Tensor
) -> None:
    network = small(name, norm_head="free_bn")
    feature_BD = network(crops)
    assert feature_BD.shape == (4, 24)
    assert feature_BD.dtype == torch.float32
    feature_BD.square().mul(torch.arange(24)).sum().backward()
    still = [key for key, weight in network.named_parameters() if not _learns(weight)]
    assert still == []


def _learns(weight: Tensor) -> bool:
    return weight.grad is not None and bool(weight.grad.isfinite().all() and weight.grad.any())


@every_backbone
def test_features_are_not_normalised(name: str, small: Build, crops: Tensor) -> None:
    norms_B = small(name).train()(crops).norm(dim=1)
    assert norms_B.max() > 1.01 * norms_B.min()


@every_backbone
@pytest.mark.parametrize("norm_head", ["frozen_bn", "free_bn", "none"])
def test_a_fresh_norm_is_about_the_root_of_the_dimension(
    name: str, norm_head: str, small: Build
) -> None:
    """So that MagFace's [10, 110] is met from the first step at 512 dimensions."""
    crops = torch.rand(8, 3, 112, 112, generator=torch.Generator().manual_seed(5)) * 2 - 1
    with torch.no_grad():
        norm = small(name, dim=512, norm_head=norm_head).train()(crops).norm(dim=1).mean()
    assert 0.5 * 512**0.5 < norm < 2 * 512**0.5


@every_backbone
def test_a_neighbour_in_the_batch_changes_nothing(name: str, small: Build, crops: Tensor) -> None:
    network = _settled(small(name), crops)
    others = crops.flip(0).clone()
    others[0] = crops[0]
    with torch.no_grad():
        alone, among, elsewhere = (network(batch)[0] for batch in (crops[:1], crops, others))
    torch.testing.assert_close(alone, among, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(among, elsewhere, rtol=1e-4, atol=1e-5)


def _settled(network: Backbone, crops: Tensor) -> Backbone:
    """In evaluation mode with the statistics of `crops`; those of a fresh net let IResNet grow."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        network.train()(crops)
    return network.eval()


@every_backbone
def test_its_state_rebuilds_it(name: str, small: Build, crops: Tensor, tmp_path: Path) -> None:
    network = small(name)
    network(crops)  # moves the running statistics
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    twin = build(name, 24, width=0.125)
    twin.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    with torch.no_grad():
        assert torch.equal(network.eval()(crops), twin.eval()(crops))


@every_backbone
def test_half_precision_leaves_the_output_in_full(name: str, small: Build, crops: Tensor) -> None:
    network = small(name).eval()
    with torch.no_grad():
        full_BD = network(crops)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half_BD = network(crops)
    assert half_BD.dtype == torch.float32
    assert torch.cosine_similarity(full_BD, half_BD).min() > 0.99
    # Rounded to bfloat16 the two would be equal: the last matrix ran in float32.
    assert not torch.equal(half_BD, half_BD.bfloat16().float())


@every_backbone
def test_a_frozen_last_norm_has_no_gain_to_learn(name: str, small: Build) -> None:
    frozen, free, bare = (
        small(name, norm_head=head).output[-1] for head in ("frozen_bn", "free_bn", "none")
    )
    assert not frozen.weight.requires_grad
    assert torch.equal(frozen.weight, torch.ones(24))
    assert frozen.bias.requires_grad
    assert free.weight.requires_grad
    assert not list(bare.parameters())
