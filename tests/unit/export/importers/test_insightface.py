"""InsightFace packs: which of the files is which, and whether pixels are normalised already."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from export import contract
from export.contract import ARCFACE_112, Preprocessing
from export.errors import ImportFailedError
from export.importers.insightface import import_pack, pixel_arithmetic
from export.manifest import DetectorManifest, RecogniserManifest
from tests.unit.export import graphs

DONE = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
TO_DO = Preprocessing("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))


def flat(side: int, width: int) -> bytes:
    """One output of a given width: a landmark, attribute or recognition network from outside."""
    model = onnx.load_model_from_string(graphs.recogniser(dim=width, side=side, batch="None"))
    entry = helper.make_tensor_value_info("feature", graphs.FLOAT, [1, width])
    model.graph.output[0].CopyFrom(entry)
    return model.SerializeToString()


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """As buffalo_l: the names say nothing that must be believed."""
    directory = tmp_path / "pack"
    directory.mkdir()
    for name, data in {
        "1k3d68.onnx": flat(192, 3309),
        "2d106det.onnx": flat(192, 212),
        "det_10g.onnx": graphs.scrfd(batch=1, sides="?"),
        "genderage.onnx": flat(96, 3),
        "w600k_r50.onnx": flat(112, 512),
    }.items():
        (directory / name).write_bytes(data)
    return directory


def test_the_two_networks_of_a_pack_become_packages(pack: Path, tmp_path: Path) -> None:
    detector, recogniser = import_pack(pack, "pack-l", tmp_path / "packages")
    assert (detector.name, recogniser.name) == ("pack-l-detector", "pack-l-recogniser")
    assert isinstance(detector.manifest, DetectorManifest)
    assert isinstance(recogniser.manifest, RecogniserManifest)
    assert "det_10g.onnx" in detector.manifest.source
    assert "w600k_r50.onnx" in recogniser.manifest.source
    assert recogniser.manifest.dim == 512
    assert recogniser.manifest.template.template() == ARCFACE_112
    assert recogniser.manifest.input.preprocessing() == TO_DO
    for made in (detector, recogniser):
        assert not made.manifest.licence.commercial_use
        assert made.path.parent == tmp_path / "packages"


@pytest.mark.parametrize(
    ("name", "missing"), [("det_10g.onnx", "detector"), ("w600k_r50.onnx", "recogniser")]
)
def test_a_pack_without_one_of_them_is_refused_whole(
    pack: Path, tmp_path: Path, name: str, missing: str
) -> None:
    (pack / name).unlink()
    with pytest.raises(ImportFailedError, match=f"looks like a {missing}"):
        import_pack(pack, "pack-l", tmp_path / "packages")
    assert not (tmp_path / "packages").exists()


def test_an_empty_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportFailedError, match="looks like a detector"):
        import_pack(tmp_path, "pack-l", tmp_path / "packages")


def test_a_damaged_file_of_a_pack_is_named(pack: Path, tmp_path: Path) -> None:
    (pack / "2d106det.onnx").write_bytes(b"half a download")
    with pytest.raises(ImportFailedError, match=r"2d106det\.onnx: not an ONNX model"):
        import_pack(pack, "pack-l", tmp_path / "packages")


def normalising(*operators: str, names: bool = True) -> bytes:
    """A recogniser that begins with these operators on the image, each with its constant."""
    model = onnx.load_model_from_string(graphs.recogniser())
    source = "image"
    for number, operator in enumerate(operators):
        constant = helper.make_tensor(f"k{number}", graphs.FLOAT, [], [2.0])
        model.graph.initializer.append(constant)
        name = f"{operator}_{number}" if names else ""
        node = helper.make_node(operator, [source, f"k{number}"], [f"n{number}"], name=name)
        model.graph.node.insert(number, node)
        source = f"n{number}"
    model.graph.node[len(operators)].input[0] = source
    return model.SerializeToString()


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        (("Sub", "Mul"), DONE),
        (("Mul", "Sub"), DONE),
        (("Sub",), TO_DO),
        (("Mul",), TO_DO),
        ((), TO_DO),
    ],
)
def test_pixels_are_normalised_once(
    operators: tuple[str, ...], expected: Preprocessing, names: bool
) -> None:
    data = normalising(*operators, names=names)
    assert pixel_arithmetic(onnx.load_model_from_string(data)) == expected


def test_our_arithmetic_is_insightfaces(pack: Path, tmp_path: Path) -> None:
    """Its ArcFaceONNX on the same file and crops, through its own blob of pixels."""
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    _, recogniser = import_pack(pack, "pack-l", tmp_path / "packages")
    theirs = ArcFaceONNX(str(pack / "w600k_r50.onnx"))
    theirs.prepare(-1)
    arrays = recogniser.golden()
    crops_bgr = [crop[..., ::-1] for crop in arrays["inputs"]]
    expected = np.concatenate([theirs.get_feat(crop) for crop in crops_bgr])
    cosines = (contract.normalise(expected) * contract.normalise(arrays["features"])).sum(axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-5)
    np.testing.assert_allclose(
        contract.norms(expected), contract.norms(arrays["features"]), rtol=1e-4
    )
