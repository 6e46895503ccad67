"""Packages into running networks: what is damaged or does not compute right never starts (F17)."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from app.errors import StartError
from app.inference import packages
from app.inference.runtime import Runtime
from export import contract, golden, package
from export.contract import ARCFACE_112, Preprocessing
from export.importers.networks import detector_defaults, import_detector, import_recogniser
from export.manifest import GOLDEN, MANIFEST, MODEL
from export.package import Package
from tests.unit.export import graphs
from tests.unit.export.importers.about import about

PIXELS = Preprocessing("RGB", (127.5, 127.5, 127.5), (128.0, 128.0, 128.0))


@pytest.fixture
def recogniser(tmp_path: Path) -> Package:
    return import_recogniser(
        tmp_path / "tiny", graphs.recogniser(), about("tiny"), PIXELS, ARCFACE_112
    )


@pytest.fixture
def detector(tmp_path: Path) -> Package:
    return import_detector(
        tmp_path / "tiny-detector",
        graphs.scrfd(),
        about("tiny-detector"),
        detector_defaults("scrfd"),
    )


def rewritten(found: Package, files: dict[str, bytes] | None = None, **changes: object) -> Package:
    """The package with other files and facts, all digests and the contract id made to fit."""
    facts = found.manifest.model_dump(mode="json", exclude={"files"}) | changes
    content = {name: found.read(name) for name in found.manifest.files} | (files or {})
    if facts["kind"] == "recogniser":
        spec = facts["input"]
        facts["contract_id"] = contract.contract_id(
            package.sha256(content[MODEL]),
            Preprocessing(spec["colour_order"], tuple(spec["mean"]), tuple(spec["std"])),
            ARCFACE_112,
            facts["dim"],
        )
    return package.write(found.path.with_name("rewritten"), content, facts)


def test_a_sound_recogniser_runs(recogniser: Package) -> None:
    running = packages.open_recogniser(recogniser)
    assert running.provider == "CPUExecutionProvider"
    assert running.contract_id == recogniser.manifest.model_dump()["contract_id"]
    assert running.template == ARCFACE_112
    crops = list(golden.inputs(112))
    embedded = running.embed(crops)
    np.testing.assert_allclose(
        np.stack([one.feature for one in embedded]),
        recogniser.golden()[golden.FEATURES],
        atol=1e-5,
    )


def test_a_sound_detector_runs(detector: Package) -> None:
    assert packages.open_detector(detector).provider == "CPUExecutionProvider"


@pytest.mark.parametrize(
    "changes",
    [
        {"input": {"name": "image", "colour_order": "BGR", "mean": [127.5] * 3, "std": [128] * 3}},
        {"input": {"name": "image", "colour_order": "RGB", "mean": [0] * 3, "std": [128] * 3}},
        {"input": {"name": "image", "colour_order": "RGB", "mean": [127.5] * 3, "std": [64] * 3}},
    ],
    ids=["colours", "mean", "std"],
)
def test_wrong_pixel_arithmetic_does_not_reproduce_the_golden_vectors(
    recogniser: Package, changes: dict[str, object]
) -> None:
    """Q07: every digest fits and the graph runs, and yet the features would be wrong."""
    with pytest.raises(StartError, match="rewritten: does not reproduce its golden vectors"):
        packages.open_recogniser(rewritten(recogniser, **changes))


def test_other_weights_do_not_reproduce_the_golden_vectors(recogniser: Package) -> None:
    model = onnx.load_model_from_string(recogniser.read(MODEL))
    matrix = next(tensor for tensor in model.graph.initializer if tensor.name == "matrix")
    values = onnx.numpy_helper.to_array(matrix)[:, ::-1].copy()
    matrix.CopyFrom(onnx.numpy_helper.from_array(values, "matrix"))
    changed = rewritten(recogniser, {MODEL: model.SerializeToString()})
    with pytest.raises(StartError, match="lowest cosine"):
        packages.open_recogniser(changed)


def test_a_detector_with_swapped_outputs_is_refused(detector: Package) -> None:
    names = detector.manifest.model_dump()["outputs"]
    swapped = rewritten(detector, outputs=[names[1], names[0], *names[2:]])
    with pytest.raises(StartError, match="golden vectors: output 0 has shape"):
        packages.open_detector(swapped)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"dim": 7}, r"rewritten: the network gave features of shape \(4, 8\)"),
        ({"output": "other"}, "rewritten: the network has no output 'other'"),
        (
            {"input": {"name": "x", "colour_order": "RGB", "mean": [0] * 3, "std": [1] * 3}},
            r"rewritten: the network's inputs are \['image'\], not 'x'",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_the_graph_is_refused(
    recogniser: Package, changes: dict[str, object], why: str
) -> None:
    with pytest.raises(StartError, match=why):
        packages.open_recogniser(rewritten(recogniser, **changes))


def external(model: onnx.ModelProto) -> None:
    tensor = next(one for one in model.graph.initializer if one.name == "matrix")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def future(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 999


def empty(model: onnx.ModelProto) -> None:
    model.Clear()


@pytest.mark.parametrize("spoil", [external, future, empty])
def test_a_graph_that_the_runtime_cannot_open_is_refused(
    recogniser: Package, spoil: Callable[[onnx.ModelProto], None]
) -> None:
    model = onnx.load_model_from_string(recogniser.read(MODEL))
    spoil(model)
    spoilt = rewritten(recogniser, {MODEL: model.SerializeToString() or b"\0"})
    with pytest.raises(StartError, match="rewritten: ONNX Runtime refuses the network"):
        packages.open_recogniser(spoilt)


def vectors(**arrays: NDArray[np.generic]) -> bytes:
    return package.npz(arrays)


GOOD = golden.inputs(112)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (vectors(inputs=GOOD), "holds no 'features'"),
        (vectors(features=np.zeros((4, 8), dtype=np.float32)), "holds no 'inputs'"),
        (vectors(inputs=GOOD.astype(float), features=np.ones((4, 8))), "float64 .* are not images"),
        (vectors(inputs=GOOD[0], features=np.ones((4, 8))), "are not images"),
        (vectors(inputs=GOOD[:, :50], features=np.ones((4, 8))), "failed on this input"),
        (vectors(inputs=GOOD, features=np.ones((4, 9), dtype=np.float32)), "golden ones have"),
        (b"nothing", "unreadable"),
    ],
)
def test_golden_vectors_that_cannot_be_used_are_refused(
    recogniser: Package, data: bytes, why: str
) -> None:
    with pytest.raises(StartError, match=f"rewritten.*{why}"):
        packages.open_recogniser(rewritten(recogniser, {GOLDEN: data}))


def test_the_kinds_are_not_confused(recogniser: Package, detector: Package) -> None:
    with pytest.raises(StartError, match="is a recogniser, a detector is needed"):
        packages.open_detector(recogniser)
    with pytest.raises(StartError, match="is a detector, a recogniser is needed"):
        packages.open_recogniser(detector)


def test_a_model_swapped_after_it_was_verified_is_refused(recogniser: Package) -> None:
    """F18: the running one stays as it is, a start refuses."""
    running = packages.open_recogniser(recogniser)
    (recogniser.path / MODEL).write_bytes(bytes(len(recogniser.read(MODEL))))
    assert len(running.embed(list(GOOD))) == 4
    with pytest.raises(StartError, match=f"tiny/{MODEL}: changed since the package was verified"):
        packages.open_recogniser(recogniser)
    with pytest.raises(StartError, match=f"tiny/{MODEL}: sha256: manifest says"):
        packages.find("tiny", recogniser.path.parent)


def test_packages_are_found_by_name_and_by_path(recogniser: Package, tmp_path: Path) -> None:
    assert packages.find("tiny", tmp_path) == recogniser
    assert packages.find(str(recogniser.path), tmp_path / "elsewhere") == recogniser


@pytest.mark.parametrize("name", ["none", "..", ".", "", "/nowhere/at/all", "a\0b"])
def test_an_unknown_package_brings_those_that_are_installed(
    recogniser: Package, tmp_path: Path, name: str
) -> None:
    with pytest.raises(StartError) as refused:
        packages.find(name, tmp_path)
    if name not in (".", "..", ""):
        assert "tiny" in str(refused.value)
        assert "norma models defaults" in str(refused.value)


def test_another_package_never_stands_in(recogniser: Package, tmp_path: Path) -> None:
    (recogniser.path / MODEL).unlink()
    shutil.copytree(recogniser.path, tmp_path / "other")
    with pytest.raises(StartError, match=f"tiny/{MODEL}: missing"):
        packages.find("tiny", tmp_path)


def test_a_broken_manifest_names_the_field(recogniser: Package, tmp_path: Path) -> None:
    manifest = json.loads((recogniser.path / MANIFEST).read_text()) | {"dim": "many"}
    (recogniser.path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(StartError, match=rf"tiny/{MANIFEST}: recogniser\.dim: "):
        packages.find("tiny", tmp_path)


def test_only_directories_count_as_installed(recogniser: Package, tmp_path: Path) -> None:
    (tmp_path / ".staging-x").mkdir()
    (tmp_path / "file").touch()
    assert packages.installed(tmp_path) == ["tiny"]
    assert packages.installed(tmp_path / "none") == []


def test_cuda_is_never_replaced_by_the_processor(recogniser: Package) -> None:
    import onnxruntime as ort

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this runtime offers CUDA")
    with pytest.raises(StartError, match="install the gpu environment, or set NORMA_DEVICE=cpu"):
        packages.open_recogniser(recogniser, Runtime("cuda"))
