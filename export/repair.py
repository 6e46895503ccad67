"""Foreign ONNX graphs made runnable, without changing what they compute.

Needs the `import` extra (onnx). Each repair takes and returns a model; `tidy` applies those that
every import wants.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from export.errors import ImportFailedError

MAX_BYTES = 1024**3
_FOLDED = ("DequantizeLinear", "Reshape")
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})


def parse(data: bytes, where: str) -> onnx.ModelProto:
    """Read one self-contained ONNX file. Raises ImportFailedError.

    External data is refused: a package's digest must cover every weight.
    """
    if len(data) > MAX_BYTES:
        raise ImportFailedError(f"{where}: larger than {MAX_BYTES} bytes")
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf raises classes of its own
        raise ImportFailedError(f"{where}: not an ONNX model") from error
    if not model.graph.node:
        raise ImportFailedError(f"{where}: not an ONNX model, or an empty one")
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ImportFailedError(f"{where}: weight {tensor.name!r} lies in another file")
    domains = {entry.domain for entry in model.opset_import}
    if strange := domains - DOMAINS:
        raise ImportFailedError(f"{where}: operators of unknown domains {sorted(strange)}")
    if not domains & {"", "ai.onnx"}:
        raise ImportFailedError(f"{where}: names no version of ONNX's own operators")
    return model


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and the bodies of its branches and loops, which read its values by name."""
    yield graph
    for node in graph.node:
        for entry in node.attribute:
            for body in (*entry.graphs, *([entry.g] if entry.HasField("g") else [])):
                yield from _graphs(body)


def _tensors(top: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    for graph in _graphs(top):
        yield from graph.initializer
        yield from (entry.values for entry in graph.sparse_initializer)
        for node in graph.node:
            yield from (entry.t for entry in node.attribute if entry.HasField("t"))


def _names_read(top: onnx.GraphProto) -> set[str]:
    nodes = {name for graph in _graphs(top) for node in graph.node for name in node.input}
    return nodes | {output.name for graph in _graphs(top) for output in graph.output}


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop stray inputs and stale shapes, unfold stored quantisation to float32."""
    for repair in (drop_stray_inputs, unfold_quantised_weights, forget_shapes):
        model = repair(model)
    return model


def drop_stray_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights listed as inputs (an old convention) and inputs that nothing reads go."""
    weights = {tensor.name for tensor in model.graph.initializer}
    read = _names_read(model.graph)
    kept = [entry for entry in model.graph.input if entry.name in read - weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return model


def unfold_quantised_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace DequantizeLinear (and Reshape) of constants by the float32 constants they give.

    A file of block-quantised weights computes in float32 anyway; unfolded it loads faster, and
    graphs whose DequantizeLinear carries contradictory attributes become valid. A graph that
    quantises activations as well computes in int8, and would not without its int8 weights.
    """
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        return model
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        if node.op_type in _FOLDED and all(name in weights for name in node.input):
            name = node.output[0]
            weights[name] = numpy_helper.from_array(_fold(node, weights), name)
        else:
            kept.append(node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    used = _names_read(model.graph)
    model.graph.initializer.extend(tensor for name, tensor in weights.items() if name in used)
    return model


def _fold(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]) -> NDArray[Any]:
    inputs = [numpy_helper.to_array(weights[name]) for name in node.input]
    try:
        return _dequantise(node, *inputs) if node.op_type == _FOLDED[0] else _reshape(*inputs)
    except (TypeError, ValueError, IndexError) as error:
        raise ImportFailedError(f"{node.op_type} {node.output[0]!r}: {error}") from error


def _reshape(data: NDArray[np.float32], shape: NDArray[np.int64]) -> NDArray[np.float32]:
    """ONNX operator Reshape: a zero keeps the dimension."""
    return data.reshape([size or data.shape[n] for n, size in enumerate(shape.tolist())])


def _dequantise(
    node: onnx.NodeProto,
    values: NDArray[np.int8],
    scale: NDArray[np.float32],
    zero: NDArray[np.int8] | None = None,
) -> NDArray[np.float32]:
    """ONNX operator DequantizeLinear-21 on constants: per tensor, per axis or in blocks.

    The result has the type of the scale.
    """
    facts = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    axis = facts.get("axis", 1) % max(1, values.ndim)
    zero = np.zeros_like(scale, dtype=values.dtype) if zero is None else zero

    def spread(parameter: NDArray[np.float32]) -> NDArray[np.float32]:
        if parameter.size == 1:
            return parameter.reshape(())
        if facts.get("block_size"):
            length = values.shape[axis]
            return np.repeat(parameter, facts["block_size"], axis=axis).take(range(length), axis)
        return parameter.reshape([-1 if n == axis else 1 for n in range(values.ndim)])

    steps = values.astype(np.float32) - spread(zero.astype(np.float32))
    return np.asarray(steps * spread(scale.astype(np.float32)), dtype=scale.dtype)


def forget_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove recorded shapes inside and at the end of the graph; many files record wrong ones."""
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return model


def free_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make the batch dimension symbolic. Whether the graph honours it must be tried."""
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    for target, values in _reshape_targets(model):
        if len(values) == 3 and values[0] == 1:
            _set(target, np.array([0, *values[1:]], dtype=np.int64))
    return model


def fix_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Say in the graph that it takes one image at a time, whatever it claimed before."""
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    return model


def free_sides(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make height and width symbolic, for detectors that take any multiple of 32."""
    dimensions = model.graph.input[0].type.tensor_type.shape.dim
    dimensions[2].dim_param, dimensions[3].dim_param = "height", "width"
    return model


def _reshape_targets(model: onnx.ModelProto) -> list[tuple[onnx.TensorProto, list[int]]]:
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    targets = [node.input[1] for node in model.graph.node if node.op_type == "Reshape"]
    return [
        (weights[n], numpy_helper.to_array(weights[n]).tolist()) for n in targets if n in weights
    ]


def _set(tensor: onnx.TensorProto, value: NDArray[np.int64]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
