"""The calibration commands on features, and through a pipeline that is not the service's."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from export import commands_calibrate, commands_compare, package
from export.calibrate.photos import Failure, FoundFace


class _Faces:
    """Photos are text: a person's number, then a seed. Features have the package's contract."""

    detector = "fake"

    def __init__(self, contract_id: str) -> None:
        self.contract_id = contract_id

    def find(self, photo: Path) -> FoundFace | Failure:
        person, seed = (int(part) for part in photo.read_text().split())
        return FoundFace(np.array([[[person, seed, 0]]], dtype=np.uint8), 0.9, 100.0)

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([_feature(*(int(v) for v in crop[0, 0, :2])) for crop in crops_NHWC])

    def sharpness(self, crop: NDArray[np.uint8]) -> float:
        return 1.0


def _feature(person: int, seed: int) -> NDArray[np.float32]:
    centre = np.random.default_rng(person).standard_normal(16)
    noise = np.random.default_rng(1000 * person + seed).standard_normal(16)
    return (centre + 0.7 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def home(packages_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("calibrated")
    source = packages_dir / "sface-2021dec"
    shutil.copytree(source, directory / "packages" / "sface-2021dec")
    return directory


@pytest.fixture
def features(tmp_path: Path) -> Path:
    codes = np.repeat(np.arange(150), 2)
    raw = np.stack([_feature(int(code), row % 2) for row, code in enumerate(codes)])
    np.savez(tmp_path / "features.npz", features=raw, subjects=codes)
    return tmp_path / "features.npz"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for person in range(40):
        (tmp_path / "photos" / f"p{person:02}").mkdir(parents=True)
        for seed in (0, 1):
            (tmp_path / "photos" / f"p{person:02}" / f"{seed}.jpg").write_text(f"{person} {seed}")
    return tmp_path / "photos"


def _run(*arguments: object, obj: object = None) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    for command in (
        commands_calibrate.calibrate,
        commands_calibrate.report,
        commands_compare.evaluate,
        commands_compare.scores,
    ):
        app.command(command.__name__)(command)
    return CliRunner().invoke(app, [str(part) for part in arguments], obj=obj)


def _faces(recogniser: str, detector: str, face: str, data_dir: Path) -> _Faces:
    found = package.load(data_dir / "packages" / recogniser)
    return _Faces(str(getattr(found.manifest, "contract_id", "")))


def test_calibrating_on_features_writes_both_tables(home: Path, features: Path) -> None:
    done = _run("calibrate", "sface-2021dec", "--features", features, "--data", "numbers",
                "--data-dir", home)  # fmt: skip
    assert done.exit_code == 0, done.output
    found = package.load(home / "packages" / "sface-2021dec")
    calibration, quality = found.calibration(), found.quality()
    assert calibration is not None
    assert quality is not None
    assert calibration.data.name == "numbers"
    assert calibration.data.impostor == 300 * 299 // 2 - 150
    assert "FMR 5e-05 and rarer: not supported" in done.output


def test_a_rate_that_must_be_supported_and_is_not_leaves_the_package_alone(
    home: Path, features: Path
) -> None:
    before = (home / "packages" / "sface-2021dec" / "calibration.json").read_bytes()
    done = _run("calibrate", "sface-2021dec", "--features", features, "--fmr", "1e-6",
                "--data-dir", home)  # fmt: skip
    assert done.exit_code != 0
    assert "3,000,000" in str(done.exception)
    after = (home / "packages" / "sface-2021dec" / "calibration.json").read_bytes()
    assert after == before


def test_features_of_another_contract_are_refused(home: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", features=np.eye(3), subjects=[0, 0, 1], contract_id="c1-other")
    done = _run("calibrate", "sface-2021dec", "--features", tmp_path / "f.npz",
                "--data-dir", home)  # fmt: skip
    assert "c1-other" in str(done.exception)


def test_the_report_is_written_from_the_package_alone(
    home: Path, features: Path, tmp_path: Path
) -> None:
    _run("calibrate", "sface-2021dec", "--features", features, "--data-dir", home)
    done = _run("report", "sface-2021dec", "-o", tmp_path / "r.html", "--json", tmp_path / "r.json",
                "--data-dir", home)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "r.json").read_text())["calibration"]["points"]


def test_photos_go_through_the_pipeline_that_the_program_brings(
    home: Path, photos: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.npz"
    done = _run("calibrate", "sface-2021dec", "--folder", photos, "--save-features", kept,
                "--data-dir", home, obj=_faces)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "80 photos of 40 people" in done.output
    with np.load(kept, allow_pickle=False) as arrays:
        assert arrays["names"][0] == "p00/0.jpg"


def test_without_a_pipeline_photos_cannot_be_calibrated_on(home: Path, photos: Path) -> None:
    done = _run("calibrate", "sface-2021dec", "--folder", photos, "--data-dir", home)
    assert "no face pipeline" in str(done.exception)


def test_two_packages_are_compared_on_the_same_pairs(home: Path, photos: Path) -> None:
    done = _run("evaluate", "sface-2021dec", "sface-2021dec", "--folder", photos,
                "--data-dir", home, obj=_faces)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "+0.00%" in done.output


def test_scores_are_exported_pair_by_pair(home: Path, photos: Path, tmp_path: Path) -> None:
    done = _run("scores", "sface-2021dec", "--folder", photos, "-o", tmp_path / "s.csv",
                "--data-dir", home, obj=_faces)  # fmt: skip
    assert done.exit_code == 0, done.output
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80 * 79 // 2
    assert rows[0]["photo_b"] == "p00/1.jpg"
    assert rows[0]["same"] == "1"
    assert sum(int(row["same"]) for row in rows) == 40
