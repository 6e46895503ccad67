import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.folder import ImageFolder, open_image_folder

Pixels = NDArray[np.uint8]


def smooth(seed: int, side: int = 112) -> Pixels:
    """A colourful, smooth picture: something that degradations visibly spoil."""
    coarse = np.random.default_rng(seed).integers(0, 256, (14, 14, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def encode(seed: int, side: int = 112) -> bytes:
    _, encoded = cv2.imencode(".jpg", smooth(seed, side))
    return encoded.tobytes()


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def jpeg_bytes() -> Callable[..., bytes]:
    """Encode a picture: `jpeg_bytes(seed, side=112)`."""
    return encode


@pytest.fixture
def tar_of() -> Callable[[Path, dict[str, bytes]], Path]:
    """Write a tar of the given files."""
    return write_tar


@pytest.fixture
def image() -> NDArray[np.uint8]:
    return smooth(0)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Three identities with 3, 2 and 1 images, in a folder."""
    root = tmp_path / "faces"
    for identity, count in (("ann", 3), ("bob", 2), ("cyd", 1)):
        (root / identity).mkdir(parents=True)
        for number in range(count):
            seed = 10 * ord(identity[0]) + number
            (root / identity / f"{number}.jpg").write_bytes(encode(seed))
    return root


@pytest.fixture
def source(faces: Path) -> ImageFolder:
    return open_image_folder(faces)


@pytest.fixture
def faces_tar(faces: Path) -> Path:
    path = faces.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(faces, arcname=".")
    return path
