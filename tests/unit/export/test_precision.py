"""What becomes of the weights, and that the small files still run like the big one."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from export import drift, precision
from export.contract import normalise, norms
from export.embed import TRAINED_INPUT, Embedder
from export.precision import Calibrator

Crops = NDArray[np.uint8]


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return (normalise(a) * normalise(b)).sum(axis=1)


def test_fp16_halves_the_weights_and_keeps_the_ends_in_fp32(model: bytes, crops: Crops) -> None:
    half = precision.to_fp16(model)
    graph = onnx.load_model_from_string(half).graph
    types = {tensor.data_type for tensor in graph.initializer if np.prod(tensor.dims) > 1}
    assert types <= {TensorProto.FLOAT16, TensorProto.INT64}
    assert len(half) < 0.75 * len(model)
    ends = [graph.input[0], graph.output[0]]
    assert {end.type.tensor_type.elem_type for end in ends} == {TensorProto.FLOAT}
    before, after = Embedder(model)(crops), Embedder(half)(crops)
    assert _cosines(before, after).min() > 0.999
    np.testing.assert_allclose(norms(after), norms(before), rtol=5e-3)


@pytest.mark.parametrize("calibrator", ["percentile", "minmax"])
def test_int8_quantises_the_dense_convolutions_but_the_first(
    model: bytes, crops: Crops, calibrator: Calibrator
) -> None:
    small = precision.to_int8(model, TRAINED_INPUT(crops[:8]), calibrator)
    graph = onnx.load_model_from_string(small).graph
    signed = [t for t in graph.initializer if t.data_type == TensorProto.INT8 and len(t.dims) == 4]
    dense = precision.dense_convolutions(onnx.load_model_from_string(model))
    assert len(signed) == len(dense) - 1
    assert all(tensor.dims[1] > 1 for tensor in signed)
    quantisers = {node.output[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
    zeros = {t.name: t.data_type for t in graph.initializer}
    assert {zeros[node.input[2]] for node in quantisers.values()} == {TensorProto.UINT8}
    before, after = Embedder(model)(crops), Embedder(small)(crops)
    assert 0.8 < _cosines(before, after).min() < 0.999999
    assert "PRelu" not in {node.op_type for node in graph.node}


def test_int8_says_nothing(
    model: bytes, crops: Crops, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    precision.to_int8(model, TRAINED_INPUT(crops[:2]))
    assert capsys.readouterr() == ("", "")
    assert caplog.records == []


def test_the_sample_is_always_the_same_and_never_repeats(crops: Crops) -> None:
    first, again = precision.sample(crops, 20), precision.sample(crops, 20)
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first.reshape(20, -1), axis=0)) == 20
    np.testing.assert_array_equal(precision.sample(crops, 999), crops)


def test_every_small_precision_has_bounds() -> None:
    assert set(drift.BOUNDS) == {"fp16", "int8"}
