import tarfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.folder import ImageFolder, open_image_folder
from tests.unit.models.data.pictures import jpeg_bytes, smooth_image


@pytest.fixture
def image() -> NDArray[np.uint8]:
    return smooth_image(0)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Three identities with 3, 2 and 1 images, in a folder."""
    root = tmp_path / "faces"
    for identity, count in (("ann", 3), ("bob", 2), ("cyd", 1)):
        (root / identity).mkdir(parents=True)
        for number in range(count):
            seed = 10 * ord(identity[0]) + number
            (root / identity / f"{number}.jpg").write_bytes(jpeg_bytes(seed))
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
