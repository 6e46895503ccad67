"""Every registered backbone exports: any batch, one file, the raw feature."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export import golden, parity
from export.embed import Embedder
from export.onnx import FEATURE, INPUT, to_onnx
from models.backbones import build, names

# One of each kind; the run of the other tests is a MobileFaceNet.
QUICK = ("iresnet18", "mobilenetv4_conv_small", "vit_tiny")
EVERY = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]


@pytest.mark.parametrize("name", EVERY)
def test_every_backbone_exports_with_parity(name: str) -> None:
    torch.manual_seed(1)
    backbone = _settled(build(name, 24, width=0.125, norm_head="free_bn"))
    model = to_onnx(backbone)
    crops = golden.inputs(112, count=7)
    parity.require(parity.measure(backbone, model, crops))
    parity.require_raw(Embedder(model)(crops))


def _settled(backbone: nn.Module) -> nn.Module:
    """With running statistics of one batch, so that activations have a natural size."""
    for layer in backbone.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        backbone.train()(torch.rand(8, 3, 112, 112) * 2 - 1)
    return backbone.eval()


def test_the_graph_has_one_input_and_the_raw_feature(model: bytes) -> None:
    graph = onnx.load_model_from_string(model).graph
    (entry,), (output,) = graph.input, graph.output
    assert (entry.name, output.name) == (INPUT, FEATURE)
    assert [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim] == [
        "batch",
        3,
        112,
        112,
    ]
    assert [d.dim_param or d.dim_value for d in output.type.tensor_type.shape.dim] == ["batch", 32]


def test_every_weight_is_inside_the_file(model: bytes) -> None:
    for tensor in onnx.load_model_from_string(model).graph.initializer:
        assert tensor.data_location != onnx.TensorProto.EXTERNAL


def test_the_last_normalisation_is_folded(model: bytes) -> None:
    kinds = [node.op_type for node in onnx.load_model_from_string(model).graph.node]
    assert kinds[-1] == "Gemm"
    assert not {"BatchNormalization", "Identity", "Cast"} & set(kinds)


def test_nothing_of_the_exporting_machine_is_recorded(model: bytes) -> None:
    for trace in (b".py", b"/lib/", b"stack_trace", b"torch.nn.modules"):
        assert trace not in model


def test_exporting_leaves_the_network_as_it_was() -> None:
    network = nn.Sequential(nn.Flatten(1), nn.Linear(3 * 4 * 4, 2), nn.Dropout())
    to_onnx(network.train(), side=4)
    assert network.training


def test_a_neighbour_in_the_batch_changes_nothing(model: bytes) -> None:
    embed, crops = Embedder(model), golden.inputs(112, count=7)
    np.testing.assert_allclose(embed(crops)[3], embed(crops[3:4])[0], rtol=1e-4, atol=1e-5)
