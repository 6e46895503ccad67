"""`norma gallery`, on files that the store itself wrote."""

from pathlib import Path

import numpy as np
import pytest

from app.cli import main


def _status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["gallery", *arguments])
    return int(ended.value.code or 0)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NORMA_DATA_DIR", str(tmp_path))
    (tmp_path / "gallery").mkdir()
    return tmp_path / "gallery"


def test_erase_check_finds_what_is_there_and_nothing_else(directory: Path, tmp_path: Path) -> None:
    feature = np.arange(128, dtype=np.float32) / 7
    with (tmp_path / "feature.npy").open("wb") as file:
        np.lib.format.write_array(file, feature, allow_pickle=False)
    (directory / "left.bin").write_bytes(b"x" * 100)
    assert _status("erase-check", str(tmp_path / "feature.npy")) == 0
    (directory / "left.bin").write_bytes(b"x" * 100 + feature.astype(np.float16).tobytes())
    assert _status("erase-check", str(tmp_path / "feature.npy")) == 1


def test_a_damaged_backup_is_refused_and_changes_nothing(directory: Path, tmp_path: Path) -> None:
    (directory / "gallery.db").write_bytes(b"what was there")
    (tmp_path / "backup.db").write_bytes(b"no database at all, only some bytes" * 40)
    assert _status("restore", str(tmp_path / "backup.db")) == 1
    assert (directory / "gallery.db").read_bytes() == b"what was there"
