from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.calibrate import photos
from export.calibrate.photos import Failure, FoundFace
from export.calibrate.run import comparisons
from export.errors import CalibrationError


class _Faces:
    """A pipeline that reads a photo's first byte: 'x' is damaged, '-' shows nobody."""

    contract_id = "c1-test"
    detector = "fake"

    def find(self, photo: Path) -> FoundFace | Failure:
        first = photo.read_bytes()[:1]
        if first == b"x":
            return Failure.UNDECODABLE
        if first == b"-":
            return Failure.UNDETECTED
        return FoundFace(np.full((4, 4, 3), first[0], dtype=np.uint8), 0.9, 80.0)

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([crops_NHWC[:, 0, 0, 0], np.ones(len(crops_NHWC))], axis=1).astype(
            np.float32
        )

    def sharpness(self, crop: NDArray[np.uint8]) -> float:
        return float(crop[0, 0, 0])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"ann/1.jpg": "a", "ann/2.PNG": "b", "bob/1.jpg": "c", "bob/2.jpg": "x",
             "cat/1.webp": "-", "cat/notes.txt": "t"}  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_folder_is_a_subject_and_failures_are_counted_apart(root: Path) -> None:
    done: list[int] = []
    made = photos.extract(photos.from_folder(root), _Faces(), progress=done.append)
    found = made.features
    assert found.names == ("ann/1.jpg", "ann/2.PNG", "bob/1.jpg")
    assert found.subjects_N.tolist() == [0, 0, 1]
    assert (found.attempts.photos, found.attempts.undecodable, found.attempts.undetected) == (
        5, 1, 1,
    )  # fmt: skip
    assert made.degraded is None
    assert sum(done) == 5


def test_degraded_crops_are_embedded_beside_the_others(root: Path) -> None:
    made = photos.extract(photos.from_folder(root), _Faces(), lambda crops, seed: crops // 2)
    assert made.degraded is not None
    np.testing.assert_array_equal(
        made.degraded.features_ND[:, 0], made.features.features_ND[:, 0] // 2
    )
    assert made.degraded.measures is not None
    assert made.degraded.measures.sharpness[0] == ord("a") // 2


def test_lfw_pairs_name_photos_and_people(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBob\t13\n")
    listed = photos.from_pairs(pairs, tmp_path)
    assert [photo.name for photo in listed.photos] == [
        "Ann_Lee/Ann_Lee_0001.jpg",
        "Ann_Lee/Ann_Lee_0002.jpg",
        "Bob/Bob_0013.jpg",
    ]
    assert listed.pairs == (
        ("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0002.jpg"),
        ("Ann_Lee/Ann_Lee_0001.jpg", "Bob/Bob_0013.jpg"),
    )


def test_csv_pairs_are_compared_as_far_as_faces_were_found(root: Path) -> None:
    pairs = root / "pairs.csv"
    pairs.write_text(
        "photo_a,subject_a,photo_b,subject_b\n"
        "ann/1.jpg,ann,ann/2.PNG,ann\nann/1.jpg,ann,bob/1.jpg,bob\nbob/1.jpg,bob,bob/2.jpg,bob\n"
    )
    listed = photos.from_pairs(pairs, root)
    features = photos.extract(listed, _Faces()).features
    [batch] = comparisons(features, listed.pairs).batches()
    assert [(features.names[a], features.names[b]) for a, b in
            zip(batch.left_P, batch.right_P, strict=True)] == [
        ("ann/1.jpg", "ann/2.PNG"), ("ann/1.jpg", "bob/1.jpg"),
    ]  # fmt: skip


def test_groups_come_by_subject(root: Path) -> None:
    groups = root / "groups.csv"
    groups.write_text("subject,group\nann,young\nbob,old\n")
    listed = photos.with_groups(photos.from_folder(root), groups)
    found = photos.extract(listed, _Faces()).features.groups_N
    assert found is not None
    assert found.tolist() == ["young", "young", "old"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ann 1 2 3 4 5\n", "not a pair"),
        ("photo_a,photo_b\na,b\n", "no column 'subject_a'"),
        ("photo_a,subject_a,photo_b,subject_b\np,ann,q,ann\np,bob,q,ann\n", "two subjects"),
    ],
)
def test_a_list_that_does_not_add_up_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pairs").write_text(text)
    with pytest.raises(CalibrationError, match=said):
        photos.from_pairs(tmp_path / "pairs", tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no SUBJECT/PHOTO"):
        photos.from_folder(tmp_path)
