"""The card says what was measured, and "not measured" for the rest."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from export import card, package
from export.build import Request, build_package
from export.contract import ARCFACE_112
from export.embed import TRAINED_INPUT
from export.importers.networks import About, import_recogniser
from export.manifest import CALIBRATION, QUALITY, Licence, RecogniserManifest, Training
from export.package import Package
from export.proof import Data
from export.tables import (
    Calibration,
    CalibrationData,
    DiscardCurve,
    DiscardEvidence,
    DiscardPoint,
    Disparity,
    GroupPoint,
    GroupRates,
    OperatingPoint,
    QualityCurve,
    QualityGates,
)
from export.trained import TrainedRun


@pytest.fixture(scope="module")
def unmeasured(
    trained: TrainedRun, model: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Package:
    """A package of the run, without any data to measure on."""
    directory = tmp_path_factory.mktemp("packages") / "bare"
    return build_package(trained, model, directory, Request("bare"), Data())


def test_what_was_not_measured_is_said(unmeasured: Package) -> None:
    text = card.render(unmeasured)
    for line in (
        "Accuracy and error rates: not measured.",
        "Whether discarding low norms lowers the error: not measured.",
        "Thresholds for error rates: not measured.",
        "Error rates by age, sex or skin tone: not measured.",
        "Speed: not measured.",
    ):
        assert line in text


def test_the_run_and_its_licence_are_stated(unmeasured: Package) -> None:
    text = card.render(unmeasured)
    assert "| data | made-up people |" in text
    assert "`mobilefacenet`, width 0.125" in text
    assert "CC0-1.0. Commercial use: **not allowed**." in text
    assert "What it must not be used for" in text
    assert unmeasured.manifest.contract_id in text


def _contract(made: Package) -> str:
    manifest = made.manifest
    assert isinstance(manifest, RecogniserManifest)
    return manifest.contract_id


def _table(contract_id: str) -> Calibration:
    data = CalibrationData(
        name="a hall",
        subjects=900,
        images=2000,
        genuine=3000,
        impostor=400_000,
        failures_to_detect=0,
        detector="scrfd",
    )
    point = OperatingPoint(
        fmr=1e-3,
        threshold=0.3125,
        measured_fmr=1e-3,
        fmr_interval=(8e-4, 1.2e-3),
        fnmr=0.05,
        fnmr_interval=(0.04, 0.06),
    )
    return Calibration(
        contract_id=contract_id,
        measured=datetime(2026, 1, 1, tzinfo=UTC),
        data=data,
        interval="95 %",
        points=[point],
    )


def test_thresholds_and_quality_appear_once_they_are_measured(
    unmeasured: Package, tmp_path: Path
) -> None:
    manifest = unmeasured.manifest
    assert isinstance(manifest, RecogniserManifest)
    calibration = _table(manifest.contract_id)
    curve = QualityCurve(
        contract_id=manifest.contract_id,
        basis="norm",
        centre=5.0,
        width=0.5,
        gates=QualityGates(enrol=4.5, query=4.0),
        data="a hall",
        images=2000,
    )
    files = {
        CALIBRATION: calibration.model_dump_json().encode(),
        QUALITY: curve.model_dump_json().encode(),
    }
    text = card.render(package.with_files(unmeasured, tmp_path / "full", files))
    assert "Measured on a hall: 900 people" in text
    assert "| 0.001 | 0.3125 | 5.00 % (4.00 % to 6.00 %) |" in text
    assert "((5.00 − norm) / 0.50)" in text
    assert "Quality scale" not in text


def test_a_calibrated_package_gets_a_card_of_its_thresholds(
    unmeasured: Package, tmp_path: Path
) -> None:
    stale = package.with_files(unmeasured, tmp_path / "copy", {"MODEL_CARD.md": b"old"})
    fresh = card.refresh(stale)
    assert fresh.read("MODEL_CARD.md").decode() == card.render(stale)


def test_writing_a_card_needs_no_torch() -> None:
    code = "import sys, export.card; sys.exit('torch' in sys.modules or 'models' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_is_found_without_importing_torch() -> None:
    code = "import sys, export.commands_export; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_imported_network_has_a_card_too(model: bytes, tmp_path: Path) -> None:
    about = About(
        name="foreign",
        version="3",
        description="Someone's network",
        source="elsewhere",
        licence=Licence(name="MIT", commercial_use=True),
        training=Training(data="unknown", loss="unknown"),
    )
    made = import_recogniser(tmp_path / "foreign", model, about, TRAINED_INPUT, ARCFACE_112)
    text = card.render(made)
    assert text.startswith("# foreign 3\n\nSomeone's network\n")
    assert "Data: unknown. Loss: unknown." in text
    assert "MIT. Commercial use: allowed." in text
    assert "(pixel − 127.5) / 127.5" in text


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    body: str


def test_every_section_has_something_to_say(unmeasured: Package) -> None:
    parts = card.render(unmeasured).split("\n## ")[1:]
    sections = [_Section(*part.split("\n", 1)) for part in parts]
    assert len(sections) == 9
    assert all(section.body.strip() for section in sections)


def test_a_card_of_the_packaged_card_is_the_same(unmeasured: Package) -> None:
    """It depends on the package's facts alone, so it can be written again at any time."""
    assert unmeasured.read("MODEL_CARD.md").decode() == card.render(unmeasured)
    assert np.all([line == line.rstrip() for line in card.render(unmeasured).splitlines()])


def _evidence(norm: float, rival: float, beats: bool = True) -> DiscardEvidence:
    point = DiscardPoint(discarded=0.0, fnmr=0.1)
    curves = [
        DiscardCurve(measure="norm", area=norm, beats_chance=beats, points=[point]),
        DiscardCurve(measure="detector-score", area=rival, beats_chance=True, points=[point]),
    ]
    return DiscardEvidence(
        photos="as given",
        fmr=1e-4,
        threshold=0.4,
        genuine=2000,
        misses=30,
        limit=0.3,
        chance=(0.85, 1.15),
        curves=curves,
    )


@pytest.mark.parametrize(
    ("norm", "rival", "beats", "said"),
    [
        (0.5, 0.9, True, "the norm is better than every rival; the next is detector-score"),
        (0.5, 0.6, True, "no more than detector-score: the difference is within noise"),
        (0.8, 0.5, True, "detector-score is a better quality than the norm"),
        (1.0, 0.5, False, "the norm orders photos no better than chance"),
    ],
)
def test_the_norm_is_held_against_its_rivals_and_chance(
    norm: float, rival: float, beats: bool, said: str, unmeasured: Package, tmp_path: Path
) -> None:
    curve = QualityCurve(
        contract_id=_contract(unmeasured),
        basis="norm",
        centre=5.0,
        width=0.5,
        gates=QualityGates(enrol=4.5, query=4.0),
        data="a hall",
        images=2000,
        evidence=(_evidence(norm, rival, beats),),
    )
    files = {QUALITY: curve.model_dump_json().encode()}
    text = card.render(package.with_files(unmeasured, tmp_path / "full", files))
    assert said in text
    assert f"| detector-score | {rival:.2f} | yes |" in text
    assert "shuffled qualities give 0.85 to 1.15" in text


def test_groups_are_told_with_how_far_they_lie_apart(unmeasured: Package, tmp_path: Path) -> None:
    def group(name: str, fmr: float) -> GroupRates:
        point = GroupPoint(
            fmr=1e-3,
            false_matches=9,
            measured_fmr=fmr,
            fmr_interval=(fmr / 2, fmr * 2),
            fnmr=0.05,
            fnmr_interval=(0.04, 0.06),
        )
        return GroupRates(
            name=name, subjects=450, images=1000, genuine=1500, impostor=90_000, points=[point]
        )

    apart = Disparity(fmr=1e-3, fmr_ratio=4.0, fmr_over_mean=2.0, fnmr_ratio=None)
    groups = (group("north", 5e-4), group("south", 2e-3))
    table = _table(_contract(unmeasured)).model_copy(
        update={"groups": groups, "disparities": (apart,)}
    )
    files = {CALIBRATION: table.model_dump_json().encode()}
    text = card.render(package.with_files(unmeasured, tmp_path / "full", files))
    assert "| south | 450 | 0.001 | 0.002 (0.001 to 0.004) | 5.00 % |" in text
    assert "| 0.001 | 4 | 2 | no error in a group |" in text
    assert "skin tone" not in text
