"""Pictures and archives for the tests of this room and of the trainer."""

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def smooth_image(seed: int, side: int = 112) -> NDArray[np.uint8]:
    """A colourful, smooth picture: something that degradations visibly spoil."""
    coarse = np.random.default_rng(seed).integers(0, 256, (14, 14, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def jpeg_bytes(seed: int, side: int = 112) -> bytes:
    _, encoded = cv2.imencode(".jpg", smooth_image(seed, side))
    return encoded.tobytes()


def tar_of(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path
