"""From a run to packages: what is written, and when nothing is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from export import golden, package
from export.build import Request, build_package
from export.drift import Bounds
from export.embed import Embedder
from export.errors import DriftError, ParityError
from export.evidence import EVIDENCE, Evidence
from export.figures import LabelledCrops
from export.manifest import CARD, MODEL, RecogniserManifest, parse_record
from export.package import Package
from export.proof import Data
from export.trained import TrainedRun

ANYTHING = Bounds(-1, -1, 9, 1, 1)


@pytest.fixture
def data(crops: NDArray[np.uint8], subjects: NDArray[np.int64]) -> Data:
    unseen = LabelledCrops("others", crops, subjects)
    return Data(calibration=LabelledCrops("some", crops[:8], subjects[:8]), unseen=unseen)


def _proof(made: Package) -> Evidence:
    return parse_record(Evidence, made.read(EVIDENCE), EVIDENCE)


def test_a_run_becomes_a_package_that_reproduces_its_golden_vectors(
    trained: TrainedRun, model: bytes, data: Data, tmp_path: Path
) -> None:
    made = build_package(trained, model, tmp_path / "tiny", Request("tiny"), data)
    manifest = package.load(tmp_path / "tiny").manifest
    assert isinstance(manifest, RecogniserManifest)
    assert (manifest.name, manifest.dim, manifest.output) == ("tiny", 32, "feature")
    assert not manifest.normalised
    assert manifest.input.fixed_batch is None
    assert (manifest.licence.name, manifest.licence.commercial_use) == ("CC0-1.0", False)
    assert (manifest.training.data, manifest.training.loss) == ("made-up people", "arcface")
    arrays = made.golden()
    found = Embedder(made.read(MODEL))(arrays[golden.INPUTS])
    assert golden.feature_problem(arrays[golden.FEATURES], found) is None
    assert made.read(CARD).startswith(b"# tiny 1\n")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_the_evidence_is_of_the_packaged_file(
    trained: TrainedRun, model: bytes, data: Data, tmp_path: Path
) -> None:
    made = build_package(trained, model, tmp_path / "tiny", Request("tiny"), data)
    manifest, proof = made.manifest, _proof(made)
    assert isinstance(manifest, RecogniserManifest)
    assert proof.contract_id == manifest.contract_id
    assert proof.parity.batches == [1, 2, 7]
    assert proof.drift is None
    assert proof.training.weights == "averaged"
    assert proof.training.backbone_parameters["width"] == 0.125
    (measured,) = proof.verification
    assert (measured.data, measured.subjects) == ("others", 10)


@pytest.mark.parametrize(("rewrite", "count"), [(True, 33), (False, 0)])
def test_prelus_are_rewritten_unless_asked_not_to(
    trained: TrainedRun, model: bytes, tmp_path: Path, rewrite: bool, count: int
) -> None:
    request = Request("tiny", rewrite_prelu=rewrite)
    made = build_package(trained, model, tmp_path / "tiny", request, Data())
    kinds = [node.op_type for node in onnx.load_model_from_string(made.read(MODEL)).graph.node]
    assert _proof(made).prelu_rewritten == count
    assert kinds.count("PRelu") == 33 - count


def test_fp16_is_written_with_its_drift(
    trained: TrainedRun, model: bytes, data: Data, tmp_path: Path
) -> None:
    made = build_package(trained, model, tmp_path / "half", Request("half", precision="fp16"), data)
    drift = _proof(made).drift
    assert drift is not None
    assert (drift.data, drift.crops, drift.subjects) == ("others", 60, 10)
    assert drift.cosine_min > 0.999
    assert made.manifest.files[MODEL].size < 0.75 * len(model)


def test_int8_that_drifts_too_far_is_not_written(
    trained: TrainedRun, model: bytes, data: Data, tmp_path: Path
) -> None:
    with pytest.raises(DriftError, match="lowest cosine"):
        build_package(trained, model, tmp_path / "small", Request("small", precision="int8"), data)
    assert list(tmp_path.iterdir()) == []


def test_int8_is_written_within_its_bounds(
    trained: TrainedRun, model: bytes, data: Data, tmp_path: Path
) -> None:
    request = Request("small", precision="int8", bounds=ANYTHING)
    made = build_package(trained, model, tmp_path / "small", request, data)
    assert _proof(made).precision == "int8"
    assert b"What int8 changed, on 60 crops of 10 people (others)" in made.read(CARD)


def test_a_small_precision_needs_crops(trained: TrainedRun, model: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="int8 needs aligned crops"):
        build_package(trained, model, tmp_path / "x", Request("x", precision="int8"), Data())


def test_a_file_of_another_network_is_not_written(
    trained: TrainedRun, model: bytes, tmp_path: Path
) -> None:
    twin = replace(trained, backbone=type(trained.backbone)(32, 0.125, "frozen_bn"))
    with pytest.raises(ParityError):
        build_package(twin, model, tmp_path / "x", Request("x"), Data())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_package_is_not_overwritten(
    trained: TrainedRun, model: bytes, tmp_path: Path
) -> None:
    with pytest.raises(FileExistsError, match="remove it first"):
        build_package(trained, model, tmp_path, Request("x"), Data())
