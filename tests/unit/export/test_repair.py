"""Graph repairs keep what a graph computes: each against ONNX's own reference evaluator."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from export import repair
from export.errors import ImportFailedError
from tests.unit.export import graphs

IMAGE = np.random.default_rng(7).normal(0, 1, (2, 3, 4, 4)).astype(np.float32)
SHAPE = ("batch", 3, 4, 4)


def ran(model: onnx.ModelProto, image: NDArray[np.float32] = IMAGE) -> list[NDArray[np.float32]]:
    """What ONNX Runtime gives for it."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"image": image}))


def dequantised(
    values: NDArray[np.generic],
    scale: NDArray[np.generic],
    zero: NDArray[np.generic] | None,
    **attributes: int,
) -> onnx.ModelProto:
    """image + DequantizeLinear(values): the weights have the image's shape but for the batch."""
    constants = {"values": values, "scale": scale} | ({} if zero is None else {"zero": zero})
    nodes = [
        helper.make_node("DequantizeLinear", list(constants), ["weight"], **attributes),
        helper.make_node("Cast", ["weight"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["image", "cast"], ["sum"]),
    ]
    return graphs.model(nodes, constants, ["sum"], SHAPE)


def int8(*shape: int) -> NDArray[np.int8]:
    return np.random.default_rng(1).integers(-128, 128, shape, dtype=np.int8)


def scales(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(2).uniform(0.01, 0.1, shape).astype(np.float32)


BLOCKS = {
    "tensor": (int8(3, 4, 4), scales(), int8()),
    "tensor, no zero point": (int8(3, 4, 4), scales(), None),
    "tensor, scale of one element": (int8(3, 4, 4), scales(1), int8(1)),
    "unsigned": (int8(3, 4, 4).view(np.uint8), scales(), np.array(128, dtype=np.uint8)),
    "half precision": (int8(3, 4, 4), scales().astype(np.float16), int8()),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_weights_quantised_by_tensor_unfold(name: str) -> None:
    unfolds(dequantised(*BLOCKS[name]))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3, None])
def test_weights_quantised_by_axis_unfold(axis: int | None) -> None:
    values = int8(3, 5, 4)[:, :4]
    length = values.shape[1 if axis is None else axis]
    attributes = {} if axis is None else {"axis": axis}
    unfolds(dequantised(values, scales(length), int8(length), **attributes))


@pytest.mark.parametrize(
    ("axis", "block"), [(0, 1), (0, 2), (0, 3), (1, 2), (2, 4), (2, 3), (-1, 2)]
)
def test_weights_quantised_in_blocks_unfold(axis: int, block: int) -> None:
    """Blocks that do not divide the axis too: the last is shorter then."""
    values = int8(3, 4, 4)
    shape = list(values.shape)
    shape[axis] = -(-shape[axis] // block)
    unfolds(dequantised(values, scales(*shape), int8(*shape), axis=axis, block_size=block))


def test_weights_of_four_bits_unfold() -> None:
    four = helper.make_tensor("values", TensorProto.INT4, [3, 4, 4], np.tile(range(-8, 8), 3))
    model = dequantised(int8(3, 4, 4), scales(3), None, axis=0)
    model.graph.initializer[0].CopyFrom(four)
    unfolds(model)


def unfolds(model: onnx.ModelProto) -> None:
    """No DequantizeLinear is left, and the graph gives what the standard's reference gives."""
    expected = ReferenceEvaluator(model).run(None, {"image": IMAGE})
    repaired = repair.unfold_quantised_weights(model)
    assert "DequantizeLinear" not in [node.op_type for node in repaired.graph.node]
    for found, wanted in zip(ran(repaired), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_contradictory_attributes_of_a_scale_by_tensor_go() -> None:
    """YuNet's trap: `block_size` and `axis` beside one scale, which ONNX Runtime refuses."""
    broken = dequantised(int8(3, 4, 4), scales(), int8(), axis=0, block_size=64)
    with pytest.raises(Exception, match="block"):
        ran(broken)
    plain = ReferenceEvaluator(dequantised(int8(3, 4, 4), scales(), int8()))
    [expected] = plain.run(None, {"image": IMAGE})
    [found] = ran(repair.unfold_quantised_weights(broken))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_reshapes_of_constants_unfold_with_them() -> None:
    """As block-quantised files write convolutions: (rows, block) stored, then reshaped."""
    nodes = [
        helper.make_node("DequantizeLinear", ["values", "scale"], ["flat"], axis=1, block_size=8),
        helper.make_node("Reshape", ["flat", "shape"], ["weight"]),
        helper.make_node("Conv", ["image", "weight"], ["out"]),
    ]
    constants = {
        "values": int8(6, 16)[:, :12],
        "scale": scales(6, 2),
        "shape": np.array([0, 3, 2, -1], dtype=np.int64),
    }
    model = graphs.model(nodes, constants, ["out"], SHAPE)
    [expected] = ReferenceEvaluator(model).run(None, {"image": IMAGE})
    repaired = repair.unfold_quantised_weights(model)
    assert [node.op_type for node in repaired.graph.node] == ["Conv"]
    assert [tensor.name for tensor in repaired.graph.initializer] == ["weight"]
    np.testing.assert_allclose(ran(repaired)[0], expected, rtol=1e-5, atol=1e-5)


def test_quantised_activations_stay() -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["out"]),
    ]
    model = graphs.model(nodes, {"scale": scales()}, ["out"], SHAPE)
    assert len(repair.tidy(model).graph.node) == 2


def test_impossible_quantisation_is_refused() -> None:
    with pytest.raises(ImportFailedError, match="DequantizeLinear 'weight': "):
        repair.tidy(dequantised(int8(3, 4, 4), scales(2), None, axis=0))


def test_stray_inputs_go() -> None:
    """SFace's trap: weights listed as inputs, and inputs that nothing reads."""
    nodes = [helper.make_node("Mul", ["image", "gain"], ["out"])]
    model = graphs.model(nodes, {"gain": scales(1), "left_over": scales(2)}, ["out"], SHAPE)
    for name, shape in (("gain", [1]), ("left_over", [2]), ("nothing", [3])):
        model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    model.graph.input.insert(0, helper.make_tensor_value_info("first", TensorProto.FLOAT, [1]))
    expected = IMAGE * model_weight(model, "gain")
    repaired = repair.drop_stray_inputs(model)
    assert [entry.name for entry in repaired.graph.input] == ["image"]
    np.testing.assert_allclose(ran(repaired)[0], expected, rtol=1e-6)


def model_weight(model: onnx.ModelProto, name: str) -> NDArray[np.float32]:
    return next(
        numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == name
    )


def branching() -> onnx.ModelProto:
    """An If whose branches read a weight and the image of the graph around them."""
    branches = {
        name: helper.make_graph(
            [helper.make_node(operator, ["image", "gain"], [f"{name}_out"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)],
        )
        for name, operator in (("then_branch", "Mul"), ("else_branch", "Add"))
    }
    nodes = [helper.make_node("If", ["yes"], ["out"], **branches)]
    return graphs.model(nodes, {"yes": np.array(True), "gain": scales(1)}, ["out"], SHAPE)


def test_what_only_a_branch_reads_stays() -> None:
    model = branching()
    expected = IMAGE * model_weight(model, "gain")
    repaired = repair.tidy(model)
    np.testing.assert_allclose(ran(repaired)[0], expected, rtol=1e-6)


def test_wrong_recorded_shapes_are_forgotten() -> None:
    nodes = [
        helper.make_node("Relu", ["image"], ["inner"]),
        helper.make_node("Neg", ["inner"], ["out"]),
    ]
    model = graphs.model(nodes, {}, ["out"], SHAPE)
    model.graph.value_info.append(helper.make_tensor_value_info("inner", TensorProto.FLOAT, [9]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", TensorProto.FLOAT, [7, 7]))
    repaired = repair.forget_shapes(model)
    np.testing.assert_array_equal(ran(repaired)[0], -np.maximum(IMAGE, 0))


@pytest.mark.parametrize("batch", [1, 4, "n"])
def test_batch_and_sides_are_freed_and_fixed(batch: graphs.Side) -> None:
    shape = (batch, 3, 64, 64)
    model = graphs.model([helper.make_node("Neg", ["image"], ["out"])], {}, ["out"], shape)
    assert dims(repair.free_batch(model)) == ["batch", 3, 64, 64]
    assert dims(repair.fix_batch(model)) == [1, 3, 64, 64]
    assert dims(repair.free_sides(model)) == [1, 3, "height", "width"]
    assert dims(repair.free_batch(model)) == ["batch", 3, "height", "width"]


def dims(model: onnx.ModelProto) -> list[int | str]:
    entries = model.graph.input[0].type.tensor_type.shape.dim
    return [entry.dim_param or entry.dim_value for entry in entries]


def test_freeing_the_batch_frees_reshapes_to_one_image() -> None:
    constants = {"shape": np.array([1, -1, 4], dtype=np.int64)}
    nodes = [helper.make_node("Reshape", ["image", "shape"], ["out"])]
    model = graphs.model(nodes, constants, ["out"], (1, 3, 4, 4))
    [found] = ran(repair.free_batch(repair.forget_shapes(model)))
    np.testing.assert_array_equal(found, IMAGE.reshape(2, 12, 4))


def parsed(model: onnx.ModelProto) -> onnx.ModelProto:
    return repair.parse(model.SerializeToString(), "x.onnx")


def test_a_sound_file_is_parsed() -> None:
    assert len(parsed(branching()).graph.node) == 1


def external(tensor: onnx.TensorProto) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def test_weights_in_another_file_are_refused() -> None:
    model = branching()
    external(model.graph.initializer[1])
    with pytest.raises(ImportFailedError, match=r"x\.onnx: weight 'gain' lies in another file"):
        parsed(model)


def test_constants_of_a_branch_in_another_file_are_refused() -> None:
    model = branching()
    body = model.graph.node[0].attribute[0].g
    value = numpy_helper.from_array(scales(1), "hidden")
    body.node.append(helper.make_node("Constant", [], ["hidden"], value=value))
    external(body.node[-1].attribute[0].t)
    with pytest.raises(ImportFailedError, match="'hidden' lies in another file"):
        parsed(model)


@pytest.mark.parametrize("domain", ["com.example", "ai.onnx.contrib", "aten"])
def test_operators_of_unknown_domains_are_refused(domain: str) -> None:
    node = helper.make_node("Anything", ["image"], ["out"], domain=domain)
    domains = [("", graphs.OPSET), (domain, 1)]
    model = graphs.model([node], {}, ["out"], SHAPE, domains=domains)
    with pytest.raises(ImportFailedError, match=rf"unknown domains \['{domain}'\]"):
        parsed(model)


def test_a_file_without_an_operator_set_is_refused() -> None:
    node = helper.make_node("Neg", ["image"], ["out"])
    with pytest.raises(ImportFailedError, match="names no version"):
        parsed(graphs.model([node], {}, ["out"], SHAPE, domains=[("com.microsoft", 1)]))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"not a network at all", b"\xff" * 1000, graphs.recogniser()[:200]],
    ids=["empty", "nul", "text", "noise", "truncated"],
)
def test_what_is_no_network_is_refused(data: bytes) -> None:
    with pytest.raises(ImportFailedError, match=r"x\.onnx: not an ONNX model"):
        repair.parse(data, "x.onnx")
