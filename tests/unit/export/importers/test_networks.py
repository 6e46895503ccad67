"""Single networks into packages: what a graph gives is recorded, what it cannot give is refused."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from export import golden, package
from export.contract import ARCFACE_112, RETAIL_128, AlignmentTemplate, Preprocessing
from export.errors import ImportFailedError, ManifestError
from export.importers.networks import (
    Family,
    detector_defaults,
    import_detector,
    import_recogniser,
)
from export.manifest import MODEL, DetectorManifest, RecogniserManifest
from export.package import Package
from tests.unit.export import graphs
from tests.unit.export.importers.about import about

PIXELS = Preprocessing("RGB", (127.5, 127.5, 127.5), (128.0, 128.0, 128.0))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "made"


def recogniser(
    here: Path, data: bytes, template: AlignmentTemplate = ARCFACE_112
) -> tuple[Package, RecogniserManifest]:
    made = import_recogniser(here, data, about(), PIXELS, template)
    assert isinstance(made.manifest, RecogniserManifest)
    return made, made.manifest


def detector(here: Path, data: bytes, family: Family) -> tuple[Package, DetectorManifest]:
    made = import_detector(here, data, about(), detector_defaults(family))
    assert isinstance(made.manifest, DetectorManifest)
    return made, made.manifest


def ran(
    made: Package, images: NDArray[np.uint8], pixels: Preprocessing
) -> list[NDArray[np.float32]]:
    session = ort.InferenceSession(made.read(MODEL), providers=["CPUExecutionProvider"])
    outputs = list(made.manifest.outputs) if made.manifest.kind == "detector" else None
    return list(session.run(outputs, {made.manifest.input.name: pixels(images)}))


@pytest.mark.parametrize("batch", ["batch", 1, 3])
def test_a_batch_is_freed_where_the_graph_honours_it(here: Path, batch: graphs.Side) -> None:
    made, manifest = recogniser(here, graphs.recogniser(batch=batch))
    arrays = made.golden()
    assert manifest.dim == 8
    assert manifest.input.fixed_batch is None
    assert manifest.opset == graphs.OPSET
    assert manifest.output == "feature"
    assert arrays[golden.FEATURES].shape == (4, 8)
    [found] = ran(made, arrays[golden.INPUTS], PIXELS)
    assert golden.feature_problem(arrays[golden.FEATURES], found) is None
    assert package.load(here) == made


@pytest.mark.parametrize("batch", ["batch", 1])
def test_a_batch_written_into_the_graph_stays_one(here: Path, batch: graphs.Side) -> None:
    """Also where the input claims any batch: the package's graph must then say one."""
    made, manifest = recogniser(here, graphs.recogniser(batch=batch, baked=True))
    assert manifest.input.fixed_batch == 1
    assert made.golden()[golden.FEATURES].shape == (1, 8)
    session = ort.InferenceSession(made.read(MODEL), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[0] == 1


def test_a_batch_that_comes_out_in_another_order_is_not_used(here: Path) -> None:
    """Feature of one image as a column: alone it reads the same, in a batch it is scrambled."""
    column = helper.make_node("Transpose", ["raw"], ["feature"], perm=[1, 0])
    made, manifest = recogniser(here, graphs.recogniser(column))
    assert manifest.input.fixed_batch == 1
    single = ran(made, made.golden()[golden.INPUTS], PIXELS)[0].reshape(1, -1)
    np.testing.assert_allclose(single, made.golden()[golden.FEATURES])


def test_the_template_decides_the_size(here: Path) -> None:
    made, manifest = recogniser(here, graphs.recogniser(side=128), RETAIL_128)
    assert manifest.template.template() == RETAIL_128
    assert made.golden()[golden.INPUTS].shape == (4, 128, 128, 3)


@pytest.mark.parametrize("normalised", [True, False])
def test_a_normalising_network_is_said_to_be_one(here: Path, normalised: bool) -> None:
    """Its norm says nothing; whoever reads the manifest must know."""
    end = helper.make_node("LpNormalization", ["raw"], ["feature"], axis=1, p=2)
    _, manifest = recogniser(here, graphs.recogniser(*([end] if normalised else [])))
    assert manifest.normalised is normalised


def test_the_same_file_gives_the_same_contract_id(tmp_path: Path) -> None:
    ids = {recogniser(tmp_path / name, graphs.recogniser())[1].contract_id for name in "ab"}
    assert len(ids) == 1
    assert recogniser(tmp_path / "c", graphs.recogniser(dim=9))[1].contract_id not in ids


def nan(like: str) -> bytes:
    value = {"off": np.array([np.float32(like)])}
    return graphs.recogniser(helper.make_node("Add", ["raw", "off"], ["feature"]), more=value)


def cast(to: int) -> bytes:
    return graphs.recogniser(helper.make_node("Cast", ["raw"], ["feature"], to=to), output_type=to)


ZERO = {"zero": np.zeros(1, dtype=np.float32)}
TWO = [
    helper.make_node("Identity", ["raw"], ["feature"]),
    helper.make_node("Neg", ["raw"], ["other"]),
]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(nan("nan"), "not finite", id="nan"),
        pytest.param(nan("inf"), "not finite", id="infinite"),
        pytest.param(
            graphs.recogniser(helper.make_node("Mul", ["raw", "zero"], ["feature"]), more=ZERO),
            "features that are zero",
            id="zero",
        ),
        pytest.param(cast(TensorProto.FLOAT16), "gives float16", id="float16"),
        pytest.param(cast(TensorProto.INT64), "gives int64", id="int64"),
        pytest.param(
            graphs.recogniser(*TWO, outputs=["feature", "other"]),
            r"has the outputs \['feature', 'other'\], one is expected",
            id="two outputs",
        ),
        pytest.param(
            graphs.recogniser(helper.make_node("ReduceSum", ["raw"], ["feature"], keepdims=0)),
            r"gives float32 of shape \(\)",
            id="one number",
        ),
        pytest.param(graphs.recogniser(side=128), "does not run", id="another size"),
        pytest.param(graphs.recogniser(outputs=["nothing"]), "refuses it", id="no such output"),
        pytest.param(
            graphs.recogniser(helper.make_node("Nonsense", ["raw"], ["feature"])),
            "refuses it",
            id="unknown operator",
        ),
        pytest.param(b"text", "not an ONNX model", id="no network"),
    ],
)
def test_what_is_no_recogniser_is_refused_and_leaves_nothing(
    here: Path, data: bytes, why: str
) -> None:
    with pytest.raises(ImportFailedError, match=f"made: .*{why}"):
        recogniser(here, data)
    assert list(here.parent.iterdir()) == []


def inputs_of(shape: list[graphs.Side] | None, more: bool = False) -> bytes:
    model = graphs.model([helper.make_node("Neg", ["image"], ["feature"])], {}, ["feature"], shape)
    if more:
        model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
        model.graph.node.append(helper.make_node("Add", ["feature", "mask"], ["sum"]))
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (inputs_of(None), "has 0 dimensions"),
        (inputs_of(["n", 512]), "has 2 dimensions"),
        (inputs_of([]), "has 0 dimensions"),
        (inputs_of(["n", 3, 112, 112], more=True), r"has the inputs \['image', 'mask'\]"),
    ],
)
@pytest.mark.parametrize("family", [None, "scrfd", "yunet"])
def test_an_input_that_is_no_image_is_refused(
    here: Path, data: bytes, why: str, family: Family | None
) -> None:
    with pytest.raises(ImportFailedError, match=why):
        detector(here, data, family) if family else recogniser(here, data)


@pytest.mark.parametrize("mean", [np.nan, np.inf])
def test_pixel_arithmetic_that_is_not_finite_is_refused(here: Path, mean: float) -> None:
    pixels = Preprocessing("RGB", (mean, 0.0, 0.0), (1.0, 1.0, 1.0))
    with pytest.raises(ImportFailedError, match="not finite"):
        import_recogniser(here, graphs.recogniser(), about(), pixels, ARCFACE_112)


def test_a_name_that_is_none_is_refused(here: Path) -> None:
    with pytest.raises(ManifestError, match=r"recogniser\.name"):
        import_recogniser(here, graphs.recogniser(), about("../x"), PIXELS, ARCFACE_112)


def test_further_files_may_carry_the_contract_id(here: Path) -> None:
    made = import_recogniser(
        here,
        graphs.recogniser(),
        about(),
        PIXELS,
        ARCFACE_112,
        lambda contract_id: {"note.txt": contract_id.encode()},
    )
    assert made.read("note.txt").decode() == made.manifest.model_dump()["contract_id"]


@pytest.mark.parametrize("batch", ["batch", 1])
@pytest.mark.parametrize("sides", ["side", 64])
def test_scrfd_outputs_are_put_in_order_by_their_shapes(
    here: Path, batch: graphs.Side, sides: graphs.Side
) -> None:
    made, manifest = detector(here, graphs.scrfd(batch=batch, sides=sides), "scrfd")
    heads = [f"{head}_{stride}" for head in graphs.SCRFD_HEADS for stride in graphs.STRIDES]
    assert manifest.outputs == heads
    assert manifest.family == "scrfd"
    assert manifest.input.fixed_batch is None
    arrays = made.golden()
    found = ran(made, arrays[golden.INPUTS], manifest.input.preprocessing())
    assert golden.output_problem([arrays[f"output_{n}"] for n in range(9)], found) is None
    assert [array.shape for array in found] == [
        (2 * (160 // stride) ** 2, width)
        for width in graphs.SCRFD_HEADS.values()
        for stride in graphs.STRIDES
    ]


def test_a_scrfd_whose_batch_lies_elsewhere_is_run_one_by_one(here: Path) -> None:
    """The service reads the batch as an inner dimension; here it would mix the images up."""
    made, manifest = detector(here, graphs.scrfd(image_first=True), "scrfd")
    assert manifest.input.fixed_batch == 1
    session = ort.InferenceSession(made.read(MODEL), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[0] == 1


def test_yunet_is_freed_of_its_size_and_batch(here: Path) -> None:
    made, manifest = detector(here, graphs.yunet(), "yunet")
    heads = [f"{head}_{stride}" for head in graphs.YUNET_HEADS for stride in graphs.STRIDES]
    assert manifest.outputs == heads
    assert manifest.input.fixed_batch is None
    assert manifest.input.colour_order == "BGR"
    images = golden.inputs(96, count=2)
    assert ran(made, images, manifest.input.preprocessing())[0].shape == (2, 144, 1)


@pytest.mark.parametrize(
    ("data", "family", "why"),
    [
        pytest.param(
            graphs.scrfd({"score": 1, "box": 4}),
            "scrfd",
            "has 6 outputs, a scrfd with five landmarks has 9",
            id="scrfd without landmarks",
        ),
        pytest.param(
            graphs.scrfd({"score": 1, "box": 4, "point": 6}), "scrfd", "not SCRFD's", id="widths"
        ),
        pytest.param(graphs.scrfd(), "yunet", "has 9 outputs, a yunet", id="scrfd as yunet"),
        pytest.param(graphs.yunet(), "scrfd", "has 12 outputs, a scrfd", id="yunet as scrfd"),
        pytest.param(
            graphs.yunet(names={"cls": "class"}), "yunet", "are not YuNet's", id="other names"
        ),
        pytest.param(graphs.scrfd(spoil="Log"), "scrfd", "not finite", id="not finite"),
        pytest.param(graphs.recogniser(), "scrfd", "does not run|has 1 outputs", id="recogniser"),
    ],
)
def test_what_is_no_detector_is_refused_and_leaves_nothing(
    here: Path, data: bytes, family: Family, why: str
) -> None:
    with pytest.raises(ImportFailedError, match=f"made: .*({why})"):
        detector(here, data, family)
    assert list(here.parent.iterdir()) == []
