"""An int8 package of a small network, made by the command from photos."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from app.inference.session import Session
from export import contract, golden, package
from export import manifest as schema
from export.calibrate.photos import Failure, FoundFace
from export.commands import models
from export.embed import TRAINED_INPUT
from export.errors import DriftError
from export.evidence import QUANTISED, Quantised
from export.importers.networks import About, import_recogniser
from export.manifest import CARD, MODEL, parse_record
from export.package import Package


class _Aligned:
    """Takes the photos for aligned crops."""

    contract_id = "c1-test"
    detector = "none"

    def find(self, photo: Path) -> FoundFace | Failure:
        return FoundFace(cv2.imread(str(photo))[..., ::-1], 0.9, 100.0)

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise AssertionError

    def sharpness(self, crop: NDArray[np.uint8]) -> float:
        raise AssertionError


def _network(gain: float) -> bytes:
    """Two convolutions and a pooling; where `gain` is large, few channels fill int8's range."""
    random = np.random.default_rng(0)
    first = random.standard_normal((16, 3, 9, 9)).astype(np.float32) / 9
    first[0] *= gain
    second = random.standard_normal((32, 16, 3, 3)).astype(np.float32) / 12
    second[:, 0] /= gain
    make = onnx.helper
    nodes = [
        make.make_node("Conv", ["x", "w1"], ["a"], strides=[4, 4]),
        make.make_node("Relu", ["a"], ["b"]),
        make.make_node("Conv", ["b", "w2"], ["c"], strides=[2, 2]),
        make.make_node("MaxPool", ["c"], ["d"], kernel_shape=[4, 4], strides=[4, 4]),
        make.make_node("Flatten", ["d"], ["feature"]),
    ]
    float32 = onnx.TensorProto.FLOAT
    graph = make.make_graph(
        nodes,
        "small",
        [make.make_tensor_value_info("x", float32, ["n", 3, 112, 112])],
        [make.make_tensor_value_info("feature", float32, ["n", None])],
        [onnx.numpy_helper.from_array(first, "w1"), onnx.numpy_helper.from_array(second, "w2")],
    )
    opset = [make.make_opsetid("", 18)]
    return bytes(make.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def _parent(home: Path, gain: float) -> Package:
    about = About(
        "small", "1", "a small network", "a test",
        schema.Licence(name="CC0-1.0", commercial_use=True),
        schema.Training(data="nothing", loss="none"),
    )  # fmt: skip
    where = home / "packages" / "small"
    return import_recogniser(where, _network(gain), about, TRAINED_INPUT, contract.ARCFACE_112)


def _quantise(home: Path, photos: Path) -> Result:
    given = ["quantise", "small", "--photos", photos, "--to", "small-int8", "--data-dir", home]
    return CliRunner().invoke(models, [str(part) for part in given], obj=lambda *_: _Aligned())


def test_the_package_is_whole_computes_in_int8_and_stands_for_itself(
    tmp_path: Path, people: Path
) -> None:
    parent = _parent(tmp_path, 1)
    done = _quantise(tmp_path, people)
    assert done.exit_code == 0, done.exception
    made = package.load(tmp_path / "packages" / "small-int8")
    assert isinstance(made.manifest, schema.RecogniserManifest)
    assert isinstance(parent.manifest, schema.RecogniserManifest)
    assert made.manifest.contract_id != parent.manifest.contract_id
    assert made.manifest.version == "1+int8"
    assert made.calibration() is None
    weights = onnx.load_model_from_string(made.read(MODEL)).graph.initializer
    assert [w for w in weights if w.data_type == onnx.TensorProto.INT8 and len(w.dims) == 4]
    record = parse_record(Quantised, made.read(QUANTISED), QUANTISED)
    assert record.parent_contract_id == parent.manifest.contract_id
    assert record.parent_model == parent.manifest.files[MODEL].sha256
    assert f"quantised from small (`{record.parent_contract_id}`)" in made.read(CARD).decode()
    assert 0.97 < record.drift.cosine_min < 1


def test_the_service_reproduces_its_golden_vectors(tmp_path: Path, people: Path) -> None:
    _parent(tmp_path, 1)
    _quantise(tmp_path, people)
    made = package.load(tmp_path / "packages" / "small-int8")
    assert isinstance(made.manifest, schema.RecogniserManifest)
    arrays = made.golden()
    entry = made.manifest.input
    session = Session(made.read(MODEL), entry.name, [made.manifest.output], "cpu")
    (found,) = session.run(entry.preprocessing()(arrays[golden.INPUTS]))
    assert golden.feature_problem(arrays[golden.FEATURES], found) is None


@pytest.mark.parametrize(("gain", "why"), [(100, "mean cosine"), (3000, "a feature is zero")])
def test_a_network_that_int8_distorts_is_refused_and_leaves_nothing(
    tmp_path: Path, people: Path, gain: float, why: str
) -> None:
    _parent(tmp_path, gain)
    done = _quantise(tmp_path, people)
    assert isinstance(done.exception, DriftError)
    assert done.exception.code == "drift_too_large"
    assert why in str(done.exception)
    assert [path.name for path in (tmp_path / "packages").iterdir()] == ["small"]


def test_too_few_people_are_refused(tmp_path: Path, people: Path) -> None:
    _parent(tmp_path, 1)
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "p00").symlink_to(people / "p00")
    done = _quantise(tmp_path, tmp_path / "few")
    with pytest.raises(Exception, match="at least four people"):
        raise done.exception or AssertionError
