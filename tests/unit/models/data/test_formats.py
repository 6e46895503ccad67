from pathlib import Path

import pytest

from models.data.folder import ImageFolder, TarFolder
from models.data.formats import open_source, open_sources
from models.data.recordio import RecordIO, write_recordio
from models.data.shards import TarShards, write_shards
from models.data.source import DataError


def test_every_format_is_told_by_its_path(
    faces: Path, faces_tar: Path, source: ImageFolder, tmp_path: Path
) -> None:
    write_recordio(tmp_path / "rec", [(0, b"x")])
    write_shards(source, tmp_path / "shards")
    assert isinstance(open_source(faces), ImageFolder)
    assert isinstance(open_source(faces_tar), TarFolder)
    assert isinstance(open_source(tmp_path / "rec"), RecordIO)
    assert isinstance(open_source(tmp_path / "shards"), TarShards)


def test_several_paths_make_one_source(faces: Path, faces_tar: Path) -> None:
    assert len(open_sources([faces, faces_tar]).labels) == 12


def test_a_path_that_is_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither a directory nor"):
        open_source(tmp_path / "absent")
