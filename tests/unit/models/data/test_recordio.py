import struct
from pathlib import Path

import numpy as np
import pytest

from models.data.recordio import FRAME, HEADER, MAGIC, open_recordio, write_recordio
from models.data.source import DataError

IMAGES = [(7, b"first"), (7, b"second!"), (3, b""), (9, b"12345678")]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_recordio(tmp_path, IMAGES)
    return tmp_path


def test_reads_back_what_was_written(dataset: Path) -> None:
    source = open_recordio(dataset)
    assert source.classes == ("3", "7", "9")
    np.testing.assert_array_equal(source.labels, [1, 1, 0, 2])
    assert [source.read(i) for i in range(4)] == [data for _, data in IMAGES]
    assert (dataset / "property").read_text() == "3,112,112"


def test_the_bytes_are_those_of_the_format(dataset: Path) -> None:
    data = (dataset / "train.rec").read_bytes()
    # Record 0: two float labels (images + 1, records), no image.
    assert data[:8] == struct.pack("<II", 0xCED7230A, 24 + 8)
    assert data[8:40] == struct.pack("<IfQQff", 2, 0.0, 0, 0, 5.0, 8.0)
    # Record 1: label 7 in the header, "first", padded to a multiple of 4.
    assert data[40:48] == struct.pack("<II", 0xCED7230A, 24 + 5)
    assert data[48:80] == struct.pack("<IfQQ", 0, 7.0, 0, 0) + b"first\0\0\0"
    assert (dataset / "train.idx").read_text().splitlines()[:2] == ["0\t0", "1\t40"]


def test_identity_records_after_the_images_are_not_images(tmp_path: Path) -> None:
    """The layout of the published sets: record 0, the images, then one record per identity."""
    payloads = [
        HEADER.pack(2, 0, 0, 0) + struct.pack("<2f", 3, 5),
        HEADER.pack(0, 4.0, 0, 0) + b"image 1",
        HEADER.pack(2, 0, 0, 0) + struct.pack("<2f", 6.0, 1.0) + b"image 2",
        HEADER.pack(2, 0, 0, 0) + struct.pack("<2f", 1, 2),
        HEADER.pack(2, 0, 0, 0) + struct.pack("<2f", 2, 3),
    ]
    with (tmp_path / "train.rec").open("wb") as rec, (tmp_path / "train.idx").open("w") as idx:
        for key, payload in enumerate(payloads):
            idx.write(f"{key}\t{rec.tell()}\n")
            rec.write(FRAME.pack(MAGIC, len(payload)) + payload + bytes(-len(payload) % 4))
    source = open_recordio(tmp_path)
    assert source.classes == ("4", "6")
    assert [source.read(i) for i in range(len(source.labels))] == [b"image 1", b"image 2"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:60], "truncated"),
        (lambda data: data[:-8], "truncated"),
        (lambda data: data[:40] + b"\0" * 4 + data[44:], "belongs to another file"),
        (lambda data: data[:47] + b"\x20" + data[48:], "in parts"),
        (lambda data: data[:8] + struct.pack("<I", 90) + data[12:], "90 labels"),
        (lambda data: b"", "promises a record"),
    ],
)
def test_a_break_of_the_framing_is_refused(dataset: Path, damage: object, message: str) -> None:
    path = dataset / "train.rec"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        read_all(dataset)


def read_all(dataset: Path) -> list[bytes]:
    source = open_recordio(dataset)
    return [source.read(i) for i in range(len(source.labels))]


def test_an_index_of_something_else_is_refused(dataset: Path) -> None:
    (dataset / "train.idx").write_text("not an index\n")
    with pytest.raises(DataError, match="not a RecordIO index"):
        open_recordio(dataset)
