"""Proof of an erasure on the files themselves: are a face's bytes still anywhere?"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHUNK = 64 * 1024 * 1024


def traces(feature: NDArray[np.float32], photo_sha256: bytes | None = None) -> list[bytes]:
    """What a file would hold of a raw feature: its beginning and end as float32 and float16,
    and the photo's hash."""
    found = []
    for kind in (np.float32, np.float16):
        raw = feature.astype(kind).tobytes()
        found += [raw[:32], raw[-32:]]
    return [*found, photo_sha256] if photo_sha256 else found


def holding(directory: Path, wanted: Iterable[bytes]) -> list[Path]:
    """The files under a directory that hold any of these byte strings."""
    wanted = list(wanted)
    return sorted(path for path in directory.rglob("*") if path.is_file() and _holds(path, wanted))


def _holds(path: Path, wanted: list[bytes]) -> bool:
    overlap = max(map(len, wanted), default=1) - 1
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            data = tail + chunk
            if any(one in data for one in wanted):
                return True
            tail = data[-overlap:] if overlap else b""
    return False
