"""`norma capacity` on a real photo, as an operator runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Faces

NORMA = [sys.executable, "-c", "from app.cli import main; main()", "capacity"]


def norma(packages_dir: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"NORMA_PACKAGES_DIR": str(packages_dir)}
    return subprocess.run(
        [*NORMA, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_a_machine_is_measured_with_the_photos_given(
    packages_dir: Path, faces: Faces, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(faces.portrait)
    done = norma(packages_dir, str(photo), "--seconds", "5", "--target", "1000", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["stages_ms"]) == {"decode", "detect", "align", "embed", "http"}
    assert min(found["stages_ms"].values()) > 0
    assert found["alone_ms"] == pytest.approx(sum(found["stages_ms"].values()))
    assert found["peak"] > 0
    assert len(found["trials"]) == 5
    held = [trial["offered"] for trial in found["trials"] if trial["held"]]
    assert found["sustained"] == max(held, default=0)


def test_a_photo_without_a_face_is_said(packages_dir: Path, tmp_path: Path) -> None:
    photo = tmp_path / "nothing.png"
    photo.write_bytes(b"no photo")
    done = norma(packages_dir, str(photo), "--seconds", "5")
    assert done.returncode == 1
    assert "image_unsupported" in done.stderr
