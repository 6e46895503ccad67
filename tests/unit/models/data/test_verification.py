import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.source import DataError
from models.data.verification import open_bin, open_lfw, parse_bin, read_lfw_pairs

TarOf = Callable[[Path, dict[str, bytes]], Path]
IMAGES = [b"\xff\xd8 one", b"two\x00", b"\x80three", b"four"]


def write_bin(path: Path, value: object, protocol: int) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


SPELLINGS: dict[str, Callable[[bytes], object]] = {
    "bytes": bytes,
    "array": lambda data: np.frombuffer(data, np.uint8).copy(),
    "bytearray": bytearray,
}


@pytest.mark.parametrize(
    ("spelling", "protocols"),
    [("bytes", (2, 3, 4, 5)), ("array", (2, 3, 4, 5)), ("bytearray", (5,))],
)
def test_every_spelling_of_a_bin_reads_alike(spelling: str, protocols: tuple[int, ...]) -> None:
    images = [SPELLINGS[spelling](image) for image in IMAGES]
    for same in ([True, False], [np.True_, np.False_]):
        for protocol in protocols:
            pairs = parse_bin(pickle.dumps((images, same), protocol=protocol), num_folds=2)
            assert pairs.images == tuple(IMAGES)
            np.testing.assert_array_equal(pairs.left, [0, 2])
            np.testing.assert_array_equal(pairs.right, [1, 3])
            np.testing.assert_array_equal(pairs.same, [True, False])
            np.testing.assert_array_equal(pairs.fold, [0, 1])


def test_a_bin_written_by_python_2(tmp_path: Path) -> None:
    """Protocol 2 with byte strings as SHORT_BINSTRING, as the published sets have them."""
    images = b"".join(b"U" + bytes([len(i)]) + i for i in IMAGES)
    (tmp_path / "x.bin").write_bytes(b"\x80\x02](" + images + b"e](\x88\x89e\x86.")
    assert open_bin(tmp_path / "x.bin").images == tuple(IMAGES)


def test_published_folds_are_contiguous(tmp_path: Path) -> None:
    path = write_bin(tmp_path / "x.bin", ([b"x"] * 40, [True] * 20), 4)
    np.testing.assert_array_equal(open_bin(path).fold, np.repeat(np.arange(10), 2))


class Opener:
    """Unpickled, this creates a file: what a hostile `.bin` would do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["whole", "image", "answer"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, protocol: int, place: str) -> None:
    trap = Opener(tmp_path / "sprung")
    value = {
        "whole": trap,
        "image": ([trap, b"x"], [True]),
        "answer": ([b"x", b"x"], [trap]),
    }[place]
    path = write_bin(tmp_path / "x.bin", value, protocol)
    with pytest.raises(DataError):
        open_bin(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"no pickle at all",
        b"\x80\x04.",
        b"\x80\x04]e.",
        b"\x80\x04h\x05.",
        b"\x80\x04(((((",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fx.",
        b"\x80\x04cos\nsystem\n(X\x04\x00\x00\x00true\x85R.",
        b"\x80\x04]q\x00(h\x00h\x00e.",
        b"\x80\x02(lp0\nI1\na.",
        pickle.dumps({"images": [], "same": []}),
        pickle.dumps(([b"x"], [True])),
        pickle.dumps(([b"x", b"y"], [2])),
        pickle.dumps(([1, 2], [True])),
        pickle.dumps(([], [])),
        pickle.dumps(([np.zeros(3), np.zeros(3)], [True])),
        pickle.dumps((np.array([b"x", b"y"], dtype=object), [True])),
    ],
)
def test_malformed_and_foreign_pickles_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.bin").write_bytes(data)
    with pytest.raises(DataError):
        open_bin(tmp_path / "x.bin")


@given(data=st.data(), protocol=st.sampled_from([2, 5]))
def test_damage_gives_images_or_a_data_error(data: st.DataObject, protocol: int) -> None:
    original = pickle.dumps((IMAGES, [True, np.False_]), protocol=protocol)
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, min(start + 4, len(original))))
    try:
        pairs = parse_bin(original[:start] + data.draw(st.binary(max_size=4)) + original[end:])
    except DataError:
        return
    assert all(type(image) is bytes for image in pairs.images)
    assert pairs.same.dtype == np.bool_


VIEW_2 = "2\t1\nAnn\t1\t2\nAnn\t1\tBob\t3\nBob\t3\t4\nBob\t4\tAnn\t2\n"
VIEW_1 = "1\nAnn\t1\t2\nAnn\t1\tBob\t3\n"


@pytest.fixture
def photos() -> dict[str, bytes]:
    return {f"{n}/{n}_{i:04d}.jpg": f"{n}{i}".encode() for n in ("Ann", "Bob") for i in range(1, 5)}


def test_both_views_of_lfw(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text(VIEW_2)
    (tmp_path / "dev.txt").write_text(VIEW_1)
    assert [(p.same, p.fold) for p in read_lfw_pairs(tmp_path / "pairs.txt")] == [
        (True, 0),
        (False, 0),
        (True, 1),
        (False, 1),
    ]
    last = read_lfw_pairs(tmp_path / "dev.txt")[1]
    assert (last.left, last.right) == ("Ann/Ann_0001.jpg", "Bob/Bob_0003.jpg")


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_pairs_over_images(
    tmp_path: Path, tar_of: TarOf, photos: dict[str, bytes], kind: str
) -> None:
    (tmp_path / "pairs.txt").write_text(VIEW_2)
    images = tmp_path / "lfw"
    if kind == "tar":
        images = tar_of(tmp_path / "lfw.tar", {f"./{name}": data for name, data in photos.items()})
    else:
        for name, data in photos.items():
            (images / name).parent.mkdir(parents=True, exist_ok=True)
            (images / name).write_bytes(data)
    pairs = open_lfw(images, tmp_path / "pairs.txt")
    named = [
        (pairs.images[a].decode(), pairs.images[b].decode(), bool(s))
        for a, b, s in zip(pairs.left, pairs.right, pairs.same, strict=True)
    ]
    assert named == [
        ("Ann1", "Ann2", True),
        ("Ann1", "Bob3", False),
        ("Bob3", "Bob4", True),
        ("Bob4", "Ann2", False),
    ]


def test_a_missing_photo_is_named(tmp_path: Path, tar_of: TarOf, photos: dict[str, bytes]) -> None:
    (tmp_path / "pairs.txt").write_text(VIEW_2)
    del photos["Bob/Bob_0003.jpg"]
    with pytest.raises(DataError, match=r"lacks Bob/Bob_0003\.jpg"):
        open_lfw(tar_of(tmp_path / "lfw.tar", photos), tmp_path / "pairs.txt")


@pytest.mark.parametrize(
    "text", ["2\t1\nAnn\t1\t2\n", "hello\n", "1\nAnn\tx\t2\nBob\t1\t2\n", "1\nAnn\n"]
)
def test_wrong_lists_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(DataError, match=r"pairs\.txt"):
        read_lfw_pairs(tmp_path / "pairs.txt")
