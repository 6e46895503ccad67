from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.data.folder import ImageFolder
from models.data.shards import INDEX, open_shards, write_shards
from models.data.source import DataError

TarOf = Callable[[Path, dict[str, bytes]], Path]


def test_shards_hold_what_the_source_holds(source: ImageFolder, tmp_path: Path) -> None:
    write_shards(source, tmp_path / "shards", images_per_shard=4)
    shards = open_shards(tmp_path / "shards")
    assert [Path(path).name for path in shards.paths] == ["00000.tar", "00001.tar"]
    np.testing.assert_array_equal(shards.labels, source.labels)
    assert [shards.read(i) for i in range(6)] == [source.read(i) for i in range(6)]


def test_the_index_only_saves_time(source: ImageFolder, tmp_path: Path) -> None:
    write_shards(source, tmp_path / "shards", images_per_shard=4)
    indexed = open_shards(tmp_path / "shards")
    (tmp_path / "shards" / INDEX).unlink()
    scanned = open_shards(tmp_path / "shards")
    assert scanned.paths == indexed.paths
    assert scanned.classes == indexed.classes
    for field in ("shard", "offset", "size", "labels"):
        np.testing.assert_array_equal(getattr(scanned, field), getattr(indexed, field))


def test_an_index_of_other_shards_is_refused(source: ImageFolder, tmp_path: Path) -> None:
    write_shards(source, tmp_path / "shards", images_per_shard=4)
    (tmp_path / "shards" / "00001.tar").unlink()
    with pytest.raises(DataError, match="describes other shards"):
        open_shards(tmp_path / "shards")


def test_foreign_shards_with_dotted_extensions_and_other_files(
    tmp_path: Path, tar_of: TarOf
) -> None:
    files = {
        "a/1.face.jpg": b"A",
        "a/1.cls": b" 12\n",
        "a/1.json": b"{}",
        "2.png": b"B",
        "2.cls": b"5",
    }
    tar_of(tmp_path / "x.tar", files)
    shards = open_shards(tmp_path)
    assert shards.classes == ("5", "12")
    assert [(shards.read(i), shards.labels[i]) for i in range(2)] == [(b"A", 1), (b"B", 0)]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"1.jpg": b"A"}, "without its label file 1.cls"),
        ({"1.jpg": b"A", "1.cls": b"ann"}, "not a label"),
        ({"1.txt": b"A"}, "without any image"),
    ],
)
def test_incomplete_shards_are_refused(
    tmp_path: Path, tar_of: TarOf, files: dict[str, bytes], message: str
) -> None:
    tar_of(tmp_path / "x.tar", files)
    with pytest.raises(DataError, match=message):
        open_shards(tmp_path)
