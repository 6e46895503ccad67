"""Graph rewrites that leave every feature as it was and make ONNX Runtime faster on CPUs.

ONNX Runtime has no blocked (NCHWc) PReLU kernel, so each one costs a slow loop and two layout
conversions: half the time of a MobileFaceNet. The same function from Relu and depthwise 1 × 1
convolutions stays in the blocked layout.

Shapes: C channels.
"""

from collections import Counter
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Floats = NDArray[np.float32]

FOLD_LIMIT = 0.9
"""Slopes up to here are folded into the layer before: one convolution instead of two. Above, the
factor s / (1 − s) would amplify rounding."""


def rewrite_prelu(model: onnx.ModelProto) -> int:
    """Replace each PReLU of a channel-wise or scalar constant slope, in place; returns how many.

    Exact for any slope s, since prelu(y) = s·y + (1 − s)·relu(y). Where all slopes are under
    `FOLD_LIMIT`, z = (1 − s)·y comes from the layer before, scaled, and prelu(y) is
    relu(z) + s / (1 − s)·z. A PReLU whose number of channels is unknown stays.
    """
    graph = _Graph(model)
    rewritten = [
        _rewritten(graph, node) if node.op_type == "PRelu" else None for node in graph.nodes
    ]
    pairs = zip(graph.nodes, rewritten, strict=True)
    nodes = [new for node, instead in pairs for new in (instead or [node])]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_unread_weights(model)
    return sum(instead is not None for instead in rewritten)


def name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a name of its own, in place: ONNX Runtime's tools exclude nodes by name."""
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"


def sort_nodes(model: onnx.ModelProto) -> None:
    """Put every node after those that it reads from, in place."""
    nodes = list(model.graph.node)
    maker = {name: number for number, node in enumerate(nodes) for name in node.output}
    reads = {
        number: [maker[name] for name in node.input if name in maker]
        for number, node in enumerate(nodes)
    }
    ordered = [nodes[number] for number in TopologicalSorter(reads).static_order()]
    del model.graph.node[:]
    model.graph.node.extend(ordered)


@dataclass(slots=True)
class _Graph:
    """A model with what the rewrite looks up in it."""

    model: onnx.ModelProto
    nodes: list[onnx.NodeProto] = field(init=False)
    weights: dict[str, onnx.TensorProto] = field(init=False)
    producers: dict[str, onnx.NodeProto] = field(init=False)
    uses: Counter[str] = field(init=False)
    channels: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        # Nodes of a message are copied whenever it changes, so the work is done on a list.
        self.nodes = list(graph.node)
        self.producers = {name: node for node in self.nodes for name in node.output}
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.uses.update(output.name for output in graph.output)
        inferred = onnx.shape_inference.infer_shapes(self.model).graph
        self.channels = {
            info.name: info.type.tensor_type.shape.dim[1].dim_value
            for info in inferred.value_info
            if len(info.type.tensor_type.shape.dim) == 4
        }

    def constant(self, name: str) -> Floats | None:
        """The value of a weight, None for anything computed."""
        tensor = self.weights.get(name)
        return None if tensor is None else np.asarray(numpy_helper.to_array(tensor))

    def add(self, name: str, value: Floats) -> str:
        """A new weight."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name)
        self.model.graph.initializer.append(tensor)
        self.weights[name] = tensor
        return name


def _rewritten(graph: _Graph, prelu: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """The nodes in the place of a PReLU, None where it stays."""
    slope_C = _slopes(graph, prelu)
    if slope_C is None:
        return None
    folded = slope_C.max() <= FOLD_LIMIT and _scale_producer(graph, prelu.input[0], 1 - slope_C)
    return (_folded if folded else _general)(graph, prelu, slope_C)


def _slopes(graph: _Graph, prelu: onnx.NodeProto) -> Floats | None:
    """One slope per channel, None where that is not what the node has."""
    slope = graph.constant(prelu.input[1])
    channels = graph.channels.get(prelu.input[0], 0)
    if slope is None or channels == 0 or slope.dtype != np.float32:
        return None
    if slope.size == 1:
        return np.full(channels, slope.item(), dtype=np.float32)
    if slope.shape[-3:] == (channels, 1, 1) and slope.size == channels:
        return slope.reshape(channels)
    return None


def _general(graph: _Graph, prelu: onnx.NodeProto, slope_C: Floats) -> list[onnx.NodeProto]:
    """s·y + (1 − s)·relu(y)."""
    y, out = prelu.input[0], prelu.output[0]
    return [
        helper.make_node("Relu", [y], [f"{out}/relu"]),
        _depthwise(graph, y, f"{out}/linear", slope_C),
        _depthwise(graph, f"{out}/relu", f"{out}/positive", 1 - slope_C),
        helper.make_node("Add", [f"{out}/positive", f"{out}/linear"], [out]),
    ]


def _folded(graph: _Graph, prelu: onnx.NodeProto, slope_C: Floats) -> list[onnx.NodeProto]:
    """relu(z) + s / (1 − s)·z."""
    z, out = prelu.input[0], prelu.output[0]
    return [
        helper.make_node("Relu", [z], [f"{out}/relu"]),
        _depthwise(graph, z, f"{out}/linear", slope_C / (1 - slope_C)),
        helper.make_node("Add", [f"{out}/linear", f"{out}/relu"], [out]),
    ]


def _depthwise(graph: _Graph, source: str, out: str, factor_C: Floats) -> onnx.NodeProto:
    """Each channel times its factor, as a 1 × 1 convolution."""
    weight = graph.add(f"{out}/weight", factor_C.reshape(-1, 1, 1, 1))
    return helper.make_node("Conv", [source, weight], [out], group=len(factor_C))


def _scale_producer(graph: _Graph, name: str, factor_C: Floats) -> bool:
    """Scale the channels of `name` inside the layer that makes it; False if that cannot be done.

    It cannot where anything else reads `name`, or the layer is no convolution or normalisation
    of constant weights.
    """
    node = graph.producers.get(name)
    if node is None or graph.uses[name] != 1 or node.op_type not in ("Conv", "BatchNormalization"):
        return False
    # Conv: weight and bias. BatchNormalization: scale and shift; its statistics stay.
    values = [graph.constant(source) for source in node.input[1:3]]
    if any(value is None or len(value) != len(factor_C) for value in values):
        return False
    for place, value in enumerate(values, start=1):
        assert value is not None  # noqa: S101 (narrowed above)
        scaled = value * factor_C.reshape(-1, *[1] * (value.ndim - 1))
        node.input[place] = graph.add(f"{node.input[place]}/scaled/{name}", scaled)
    return True


def drop_unread_weights(model: onnx.ModelProto) -> None:
    """Remove weights that no node reads any more, in place."""
    read = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
