from pathlib import Path

import numpy as np
import pytest

from models.data.folder import ImageFolder, open_image_folder, open_tar_folder
from models.data.source import DataError


def test_identities_and_images_come_in_sorted_order(source: ImageFolder) -> None:
    assert source.classes == ("ann", "bob", "cyd")
    np.testing.assert_array_equal(source.labels, [0, 0, 0, 1, 1, 2])
    assert source.read(4) == Path(source.paths[4]).read_bytes()


def test_files_that_are_no_images_and_deeper_levels_are_passed_over(faces: Path) -> None:
    (faces / "ann" / "notes.txt").write_text("x")
    (faces / "stray.jpg").write_bytes(b"x")
    (faces / "ann" / "deep").mkdir()
    (faces / "ann" / "deep" / "4.jpg").write_bytes(b"x")
    assert len(open_image_folder(faces).labels) == 6


def test_a_tar_reads_as_the_folder_it_holds(source: ImageFolder, faces_tar: Path) -> None:
    packed = open_tar_folder(faces_tar)
    assert packed.classes == source.classes
    np.testing.assert_array_equal(packed.labels, source.labels)
    assert [packed.read(i) for i in range(6)] == [source.read(i) for i in range(6)]


def test_a_truncated_tar_is_refused_when_read(faces_tar: Path) -> None:
    packed = open_tar_folder(faces_tar)
    faces_tar.write_bytes(faces_tar.read_bytes()[: packed.extents[-1].offset + 10])
    with pytest.raises(DataError, match="truncated"):
        packed.read(5)


def test_no_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one directory per person"):
        open_image_folder(tmp_path)


def test_what_is_no_tar_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(DataError, match="not an uncompressed tar"):
        open_tar_folder(tmp_path / "x.tar")
