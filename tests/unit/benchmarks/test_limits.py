"""What a network's run costs, counted."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks.limits import multiplications


def test_convolutions_and_matrices_are_counted_by_the_shapes_that_run() -> None:
    weights = {
        "kernel": np.zeros((6, 4, 3, 3), np.float32),
        "matrix": np.zeros((8, 5), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["maps"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["maps"], ["bent"]),
        helper.make_node("MatMul", ["bent", "matrix"], ["y"]),
    ]
    size = ["batch", 4, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    found = multiplications(model.SerializeToString(), np.zeros((2, 4, 10, 16), np.float32))
    maps = 2 * 6 * 5 * 8
    assert found == maps * 4 * 3 * 3 + (2 * 6 * 5 * 5) * 8
