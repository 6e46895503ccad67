"""What a service refuses to start with."""

import os
from pathlib import Path

import pytest

from app.errors import StartError
from app.service import build_service
from app.settings import Settings


def test_default_rates_that_the_calibration_cannot_support_refuse_the_start(data_dir: Path) -> None:
    for name, rate in (("fmr", 1e-12), ("fpir", 1e-12)):
        with pytest.raises(StartError, match=f"NORMA_{name.upper()}: .* stricter than"):
            build_service(Settings.model_validate({"data_dir": data_dir, name: rate}))


def test_a_data_directory_that_is_a_file_refuses_the_start(tmp_path: Path) -> None:
    there = tmp_path / "norma-data"
    there.write_bytes(b"")
    with pytest.raises(StartError, match=r"NORMA_DATA_DIR=.*norma-data is not a directory"):
        build_service(Settings(data_dir=there))


def test_a_gallery_that_is_a_file_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "gallery").write_bytes(b"")
    with pytest.raises(StartError, match="gallery is not a directory"):
        build_service(Settings(data_dir=tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_that_cannot_be_written_refuses_the_start(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StartError, match="cannot be written by this user"):
            build_service(Settings(data_dir=tmp_path / "not-there-yet"))
    finally:
        tmp_path.chmod(0o700)
