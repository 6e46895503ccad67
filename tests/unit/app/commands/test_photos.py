"""`norma detect`, `embed` and `verify` on real photos."""

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export import package
from export.manifest import CALIBRATION
from tests.unit.app.commands.conftest import Run

pytestmark = pytest.mark.usefixtures("defaults")


def test_detect_counts_and_draws(run: Run, photos: Path) -> None:
    ran = run("detect", photos / "group.jpg")
    picture = photos / "group.faces.png"
    lines = ran.out.splitlines()
    assert ran.status == 0
    assert lines[0] == f"6 face(s) in {photos / 'group.jpg'}, 1280×886"
    assert len([line for line in lines if line.startswith("  score 0.")]) == 6
    assert lines[-1] == f"saved {picture}"
    drawn = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    original = np.asarray(Image.open(photos / "group.jpg").convert("RGB")).astype(int)
    changed = np.abs(drawn - original).max(axis=2) > 60
    assert drawn.shape == original.shape
    assert 0.001 < changed.mean() < 0.1, "boxes and points, on an otherwise unchanged photo"


def test_detect_writes_where_it_is_told(run: Run, photos: Path, tmp_path: Path) -> None:
    target = tmp_path / "out [x].jpg"
    ran = run("detect", photos / "portrait.jpg", "-o", target, "--json")
    answer = json.loads(ran.out)
    assert answer["picture"] == str(target)
    assert len(answer["faces"]) == 1
    assert len(answer["faces"][0]["landmarks"]) == 5
    assert target.read_bytes().startswith(b"\xff\xd8\xff")


def test_detect_finds_no_one_in_a_landscape(run: Run, photos: Path) -> None:
    ran = run("detect", photos / "landscape.jpg")
    assert (ran.status, ran.out.split()[0]) == (0, "0")


@pytest.mark.parametrize("target", ["picture.txt", "none/picture.png"])
def test_detect_says_when_it_cannot_save(run: Run, photos: Path, target: str) -> None:
    line = run("detect", photos / "portrait.jpg", "-o", photos / target).failed()
    assert str(photos / target) in line


def test_embed_prints_the_raw_feature(run: Run, photos: Path, defaults: Path) -> None:
    ran = run("embed", photos / "portrait.jpg")
    answer = json.loads(ran.out)
    feature = np.frombuffer(base64.b64decode(answer["feature_base64"]), dtype="<f4")
    manifest = package.load(defaults / "sface-2021dec").manifest
    assert feature.shape == (128,)
    assert np.linalg.norm(feature) == pytest.approx(answer["quality"]["norm"], rel=1e-5)
    assert answer["recogniser"] == "sface-2021dec"
    assert answer["contract_id"] == manifest.model_dump()["contract_id"]
    assert answer["faces_found"] == 1


def test_the_same_person_matches_with_status_0(run: Run, photos: Path) -> None:
    ran = run("verify", photos / "portrait.jpg", photos / "portrait_again.jpg")
    assert ran.status == 0, ran
    assert ran.out.startswith("match: similarity 0.")
    assert "FMR 0.0001" in ran.out


def test_different_people_do_not_match_with_status_2(run: Run, photos: Path) -> None:
    ran = run("verify", photos / "portrait.jpg", photos / "other.jpg")
    assert ran.status == 3, ran
    assert ran.out.startswith("no match: similarity ")


def test_verify_as_json_carries_its_evidence(run: Run, photos: Path) -> None:
    pair = (photos / "portrait.jpg", photos / "other.jpg")
    ran = run("verify", *pair, "--threshold", "-1", "--json")
    answer = json.loads(ran.out)
    assert ran.status == 0
    assert answer["match"] is True
    assert answer["threshold"]["source"] == "request"
    assert answer["threshold"]["value"] == -1
    assert {"face", "faces_found", "quality"} == answer["image_a"].keys()


def test_several_faces_are_refused_where_one_is_asked_for(run: Run, photos: Path) -> None:
    pair = (photos / "group.jpg", photos / "portrait.jpg")
    assert "6 faces" in run("verify", *pair, "--face", "only").failed()
    assert run("verify", *pair, "--face", "largest").status == 3


@pytest.mark.parametrize("kept", [0, 4, 0.5])
def test_spoilt_photos_are_one_line(run: Run, photos: Path, kept: float) -> None:
    photo = photos / "portrait.jpg"
    data = photo.read_bytes()
    photo.write_bytes(data[: int(kept * len(data) if kept < 1 else kept)])
    line = run("embed", photo).failed()
    assert len(line) < 300
    if kept == 0.5:
        assert line == run("verify", photos / "other.jpg", photo).failed()


@pytest.mark.parametrize("command", ["detect", "embed"])
def test_absent_photos_are_one_line(run: Run, photos: Path, command: str) -> None:
    assert "none.jpg: No such file" in run(command, photos / "none.jpg").failed()
    assert f"{photos}: Is a directory" in run(command, photos).failed()


def test_a_photo_without_a_face_is_one_line(run: Run, photos: Path) -> None:
    assert "no face" in run("embed", photos / "landscape.jpg").failed()


@pytest.mark.parametrize("variable", ["NORMA_DETECTOR", "NORMA_RECOGNISER"])
def test_an_unknown_package_is_one_line(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "nothing")
    line = run("detect", photos / "portrait.jpg").failed()
    assert "there is no package 'nothing'" in line
    assert "sface-2021dec, yunet-2023mar" in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [("NORMA_PORT", "many"), ("NORMA_FMR", "2"), ("NORMA_FMR", "nan"), ("NORMA_DEVICE", "tpu")],
)
def test_a_wrong_setting_names_its_variable(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert f"norma: {variable}={value}: " in run("detect", photos / "portrait.jpg").failed()


def test_a_rate_that_the_data_cannot_support_is_one_line(run: Run, photos: Path) -> None:
    pair = (photos / "portrait.jpg", photos / "other.jpg")
    assert "1e-09" in run("verify", *pair, "--fmr", "1e-9").failed()


@pytest.mark.parametrize("option", [("--fmr", "0"), ("--fmr", "1.5"), ("--fmr", "nan")])
def test_impossible_rates_are_refused(run: Run, photos: Path, option: tuple[str, str]) -> None:
    ran = run("verify", photos / "portrait.jpg", photos / "other.jpg", *option)
    assert (ran.status, ran.out) == (2, "")
    assert "must lie between" in ran.err


@pytest.mark.parametrize("threshold", ["nan", "inf", "2", "-1.5"])
def test_impossible_thresholds_are_refused(run: Run, photos: Path, threshold: str) -> None:
    pair = (photos / "portrait.jpg", photos / "other.jpg")
    ran = run("verify", *pair, f"--threshold={threshold}")
    assert (ran.status, ran.out) == (2, "")
    assert "must lie between -1 and 1" in ran.err


def test_an_uncalibrated_recogniser_asks_for_a_threshold(
    run: Run, photos: Path, data: Path, defaults: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = package.load(defaults / "sface-2021dec")
    files = {name: made.read(name) for name in ("model.onnx", "golden.npz")}
    facts = made.manifest.model_dump(mode="json", exclude={"files"})
    bare = package.write(data / "bare", files, facts)
    assert CALIBRATION not in bare.manifest.files
    monkeypatch.setenv("NORMA_RECOGNISER", str(bare.path))
    pair = (photos / "portrait.jpg", photos / "portrait_again.jpg")
    assert "calibrat" in run("verify", *pair).failed()
    assert run("verify", *pair, "--threshold", "0.3").status == 0


def test_between_two_rates_the_answer_is_inconclusive_with_status_4(
    run: Run, photos: Path, data: Path, defaults: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = data / "own"
    shutil.copytree(defaults / "sface-2021dec", own)
    monkeypatch.setenv("NORMA_RECOGNISER", str(own))
    made = package.load(own)
    table = made.calibration()
    assert table is not None
    stricter = [
        point.model_copy(update={"threshold": 0.99 if point.fmr < 1e-3 else 0.5})
        for point in table.points
    ]
    written = table.model_copy(update={"points": stricter}).model_dump_json().encode()
    package.replace(made, {CALIBRATION: written})
    pair = (photos / "portrait.jpg", photos / "portrait_again.jpg")
    assert run("verify", *pair).status == 3
    ran = run("verify", *pair, "--review-fmr", "0.01")
    assert (ran.status, ran.out.split(":")[0]) == (4, "inconclusive")
    answer = json.loads(run("verify", *pair, "--review-fmr", "0.01", "--json").out)
    assert (answer["verdict"], answer["threshold"]["review"]) == ("inconclusive", 0.5)
    assert "looser" in run("verify", *pair, "--fmr", "0.01", "--review-fmr", "0.0001").failed()
    assert run("verify", *pair, "--threshold", "0.4", "--review-fmr", "0.01").status == 2
