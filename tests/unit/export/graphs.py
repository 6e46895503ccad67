"""Tiny ONNX graphs that look like recognisers and detectors from outside."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
FLOAT = TensorProto.FLOAT
CELLS = 7 * 7 * 3
"""Values that remain of a 112×112 image after averaging over 16×16 pixels."""

Side = int | str


def model(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, NDArray[np.generic]],
    outputs: Sequence[str],
    shape: Sequence[Side] | None = ("batch", 3, 112, 112),
    *,
    domains: Sequence[tuple[str, int]] = (("", OPSET),),
    output_type: int = FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("image", FLOAT, shape)],
        [helper.make_tensor_value_info(name, output_type, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid(*domain) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def weights(rows: int, columns: int) -> NDArray[np.float32]:
    return np.random.default_rng(rows + columns).normal(0, 0.1, (rows, columns)).astype(np.float32)


def recogniser(
    *ends: onnx.NodeProto,
    dim: int = 8,
    batch: Side = "batch",
    side: int = 112,
    baked: bool = False,
    more: dict[str, NDArray[np.generic]] | None = None,
    outputs: Sequence[str] = ("feature",),
    output_type: int = FLOAT,
) -> bytes:
    """Averages 16×16 pixels, then a matrix: image (batch, 3, side, side) to feature (batch, dim).

    `ends` turn `raw` into `feature`. `baked` writes one image into the graph, so that a batch
    cannot run.
    """
    cells = (side // 16) ** 2 * 3
    shape = np.array([1, cells] if baked else [-1, cells], dtype=np.int64)
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["cells"], kernel_shape=[16, 16], strides=[16, 16]
        ),
        helper.make_node("Reshape", ["cells", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "matrix"], ["raw"]),
        *(ends or [helper.make_node("Identity", ["raw"], ["feature"])]),
    ]
    constants = {"flat": shape, "matrix": weights(cells, dim), **(more or {})}
    made = model(nodes, constants, outputs, (batch, 3, side, side), output_type=output_type)
    return made.SerializeToString()


SCRFD_HEADS = {"score": 1, "box": 4, "point": 10}
YUNET_HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
STRIDES = (8, 16, 32)


def scrfd(
    heads: dict[str, int] | None = None,
    *,
    batch: Side = "batch",
    sides: Side = "side",
    image_first: bool = False,
    spoil: str = "Identity",
) -> bytes:
    """As SCRFD: (height, width, batch, anchor) flattened, nine outputs, here by falling stride.

    `image_first` flattens the batch first, which is another layout of a batch.
    """
    nodes, constants, outputs = [], {}, []
    order = [0, 2, 3, 1] if image_first else [2, 3, 0, 1]
    for stride in reversed(STRIDES):
        cells = f"cells_{stride}"
        nodes.append(_pool(stride, cells))
        for name, width in (heads or SCRFD_HEADS).items():
            key = f"{name}_{stride}"
            constants[f"w_{key}"] = weights(2 * width, 3)[:, :, None, None]
            constants[f"s_{key}"] = np.array([-1, width], dtype=np.int64)
            nodes += [
                helper.make_node("Conv", [cells, f"w_{key}"], [f"c_{key}"]),
                helper.make_node("Transpose", [f"c_{key}"], [f"t_{key}"], perm=order),
                helper.make_node("Reshape", [f"t_{key}", f"s_{key}"], [f"r_{key}"]),
                helper.make_node(spoil, [f"r_{key}"], [key]),
            ]
            outputs.append(key)
    return model(nodes, constants, outputs, (batch, 3, sides, sides)).SerializeToString()


def yunet(*, batch: Side = 1, sides: Side = 64, names: dict[str, str] | None = None) -> bytes:
    """As YuNet: (1, height × width, ·), the one image written into the graph, twelve outputs."""
    nodes, constants, outputs = [], {}, []
    for stride in reversed(STRIDES):
        cells = f"cells_{stride}"
        nodes.append(_pool(stride, cells))
        for name, width in YUNET_HEADS.items():
            key = f"{(names or {}).get(name, name)}_{stride}"
            constants[f"w_{key}"] = weights(width, 3)[:, :, None, None]
            constants[f"s_{key}"] = np.array([1, -1, width], dtype=np.int64)
            nodes += [
                helper.make_node("Conv", [cells, f"w_{key}"], [f"c_{key}"]),
                helper.make_node("Transpose", [f"c_{key}"], [f"t_{key}"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t_{key}", f"s_{key}"], [key]),
            ]
            outputs.append(key)
    return model(nodes, constants, outputs, (batch, 3, sides, sides)).SerializeToString()


def _pool(stride: int, name: str) -> onnx.NodeProto:
    return helper.make_node(
        "AveragePool", ["image"], [name], kernel_shape=[stride] * 2, strides=[stride] * 2
    )
