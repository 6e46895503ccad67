"""The rewritten graph computes what the PReLU did, for every slope and neighbourhood."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export import golden, repair
from export.contract import Preprocessing, norms
from export.embed import Embedder
from export.graphs import rewrite_prelu, sort_nodes

Floats = NDArray[np.float32]
CHANNELS = 5


def _weights(**values: Floats) -> list[TensorProto]:
    return [numpy_helper.from_array(v.astype(np.float32), name) for name, v in values.items()]


def _network(nodes: list[onnx.NodeProto], weights: list[TensorProto]) -> onnx.ModelProto:
    shape = ["batch", CHANNELS, 6, 6]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        weights,
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    return model


def _run(model: onnx.ModelProto) -> Floats:
    x = np.random.default_rng(0).normal(size=(3, CHANNELS, 6, 6)).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {"x": x})
    return out


def _producer(kind: str, slope: Floats) -> onnx.ModelProto:
    """x → a layer of `kind` → PReLU → out."""
    random = np.random.default_rng(1)
    vectors = {name: random.normal(size=CHANNELS) for name in ("b", "shift", "mean")}
    weights = _weights(
        slope=slope,
        w=random.normal(size=(CHANNELS, CHANNELS, 3, 3)),
        gain=np.arange(-2.0, 3),
        var=np.arange(1.0, 6),
        **vectors,
    )
    layers = {
        "conv": helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1]),
        "conv without bias": helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1]),
        "batch norm": helper.make_node(
            "BatchNormalization", ["x", "gain", "shift", "mean", "var"], ["y"]
        ),
        "add": helper.make_node("Add", ["x", "x"], ["y"]),
    }
    used = {*layers[kind].input, "slope"}
    prelu = helper.make_node("PRelu", ["y", "slope"], ["out"])
    return _network([layers[kind], prelu], [w for w in weights if w.name in used])


def _kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("kind", ["conv", "conv without bias", "batch norm", "add"])
@given(slopes=st.lists(st.floats(-3, 3, width=32), min_size=CHANNELS, max_size=CHANNELS))
@settings(max_examples=15, deadline=None)
def test_it_is_exact_for_every_slope_after_every_layer(kind: str, slopes: list[float]) -> None:
    model = _producer(kind, np.array(slopes, dtype=np.float32).reshape(-1, 1, 1))
    expected = _run(model)
    assert rewrite_prelu(model) == 1
    onnx.checker.check_model(model)
    assert "PRelu" not in _kinds(model)
    np.testing.assert_allclose(_run(model), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("kind", "slope", "convolutions"),
    [("conv", 0.25, 2), ("batch norm", 0.25, 1), ("add", 0.25, 2), ("conv", 1.5, 3)],
)
def test_small_slopes_are_folded_into_the_layer_before(
    kind: str, slope: float, convolutions: int
) -> None:
    model = _producer(kind, np.full((CHANNELS, 1, 1), slope))
    rewrite_prelu(model)
    assert _kinds(model)["Conv"] == convolutions


def test_a_layer_that_others_read_is_not_scaled() -> None:
    conv = helper.make_node("Conv", ["x", "w"], ["y"])
    prelu = helper.make_node("PRelu", ["y", "slope"], ["z"])
    add = helper.make_node("Add", ["y", "z"], ["out"])
    weights = _weights(w=np.ones((CHANNELS, CHANNELS, 1, 1)), slope=np.full((CHANNELS, 1, 1), 0.2))
    model = _network([conv, prelu, add], weights)
    expected = _run(model)
    rewrite_prelu(model)
    np.testing.assert_allclose(_run(model), expected, rtol=1e-5, atol=1e-5)


def test_a_weight_that_another_layer_shares_is_not_changed() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"]),
        helper.make_node("PRelu", ["y", "slope"], ["z"]),
        helper.make_node("Conv", ["z", "w"], ["out"]),
    ]
    weights = _weights(
        w=np.random.default_rng(2).normal(size=(CHANNELS, CHANNELS, 1, 1)),
        slope=np.full((CHANNELS, 1, 1), 0.2),
    )
    model = _network(nodes, weights)
    expected = _run(model)
    rewrite_prelu(model)
    np.testing.assert_allclose(_run(model), expected, rtol=1e-5, atol=1e-5)


def test_one_slope_for_all_channels_is_spread() -> None:
    model = _producer("conv", np.array([0.3]))
    expected = _run(model)
    assert rewrite_prelu(model) == 1
    np.testing.assert_allclose(_run(model), expected, rtol=1e-5, atol=1e-5)


def test_a_slope_for_every_pixel_stays() -> None:
    model = _producer("conv", np.full((CHANNELS, 6, 6), 0.3))
    before = model.SerializeToString()
    assert rewrite_prelu(model) == 0
    assert model.SerializeToString() == before


def test_nodes_are_sorted_by_what_they_read() -> None:
    model = _producer("conv", np.full((CHANNELS, 1, 1), 0.25))
    expected = _run(model)
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    sort_nodes(model)
    onnx.checker.check_model(model)
    np.testing.assert_array_equal(_run(model), expected)


@pytest.mark.assets
@pytest.mark.parametrize(
    ("file", "count", "side"),
    [("rec_insightface_y1", 33, 112), ("rec_openvino_0095", 48, 128)],
)
def test_trained_networks_keep_their_features(
    assets: Path, file: str, count: int, side: int
) -> None:
    """Slopes up to 2.4 (y1, more than 1 in 26 layers) and 7.5 (0095, one slope per layer)."""
    data = (assets / "weights" / f"{file}.onnx").read_bytes()
    model = repair.tidy(repair.parse(data, file))
    pixels = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    crops = golden.inputs(side)
    expected = Embedder(model.SerializeToString(), pixels, batch=1)(crops).reshape(len(crops), -1)
    assert rewrite_prelu(model) == count
    found = Embedder(model.SerializeToString(), pixels, batch=1)(crops).reshape(len(crops), -1)
    np.testing.assert_allclose(found, expected, atol=1e-5 * norms(expected).max())
    np.testing.assert_allclose(norms(found), norms(expected), rtol=1e-5)
