"""Parity passes for the same network and only for that."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export import golden, parity
from export.errors import ParityError
from export.trained import TrainedRun

CROPS = golden.inputs(112, count=7)


def test_the_exported_file_is_the_network(trained: TrainedRun, model: bytes) -> None:
    found = parity.require(parity.measure(trained.backbone, model, CROPS))
    assert found.batches == (1, 2, 7)
    assert found.max_difference < 1e-4
    assert found.same_order


def test_a_moved_weight_is_found(trained: TrainedRun, model: bytes) -> None:
    graph = onnx.load_model_from_string(model)
    first = next(t for t in graph.graph.initializer if len(t.dims) == 4)
    moved = numpy_helper.to_array(first) * 1.01
    first.CopyFrom(numpy_helper.from_array(moved, first.name))
    found = parity.measure(trained.backbone, graph.SerializeToString(), CROPS)
    with pytest.raises(ParityError, match="differs from the network"):
        parity.require(found)


def test_norms_in_another_order_are_found() -> None:
    expected = np.array([[1.0, 0], [1.00005, 0], [2, 0]], dtype=np.float32)
    tied, swapped = expected[[1, 0, 2]], expected[[0, 2, 1]]
    assert parity._compare(expected, tied).same_order
    assert not parity._compare(expected, swapped).same_order


def test_a_normalised_feature_is_refused() -> None:
    features = np.random.default_rng(0).normal(size=(7, 16)).astype(np.float32)
    parity.require_raw(features)
    with pytest.raises(ParityError, match="quality is lost"):
        parity.require_raw(features / np.linalg.norm(features, axis=1, keepdims=True))
