"""A sealed segment on disk: a JSON line, then arrays, one after the other.

The file is read only after its length is right and trusted only after its SHA-256 is: damaged
arrays would give wrong answers without any error.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from app.gallery.files import write_durably
from app.gallery.index.projection import compacted
from app.gallery.index.segment import Part, Segment

FORMAT = 1


class SnapshotError(Exception):
    """A snapshot file that is damaged, foreign or of another format; the database has it all."""


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """What the manifest says about one file. `dead` rows of the segment are not in it."""

    name: str
    sha256: str
    rows: int
    dead: int


class _Hashing:
    """Passes bytes on to a file and into a digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self.digest.update(data)


def _arrays(segment: Segment) -> list[NDArray[Any]]:
    return [
        segment.ids,
        segment.subjects,
        segment.inverse_norms,
        segment.features,
        segment.codes,
    ]


def write_segment(directory: Path, name: str, part: Part) -> SegmentFile | None:
    """Writes the living rows; None where there are none. The dead never reach the disk."""
    living = compacted(part) if part.dead else part
    if living is None:
        return None
    segment, rows = living.segment, living.rows
    header = {
        "format": FORMAT,
        "dim": segment.dim,
        "feature_type": segment.features.dtype.name,
        "rows": rows,
        "residual": segment.residual,
        "spiky": segment.spiky[segment.spiky < rows].tolist(),
    }
    digests: list[str] = []

    def write(file: IO[bytes]) -> None:
        out = _Hashing(file)
        out.write(json.dumps(header).encode() + b"\n")
        for array in _arrays(segment):
            out.write(array[:rows].data.cast("B"))
        digests.append(out.digest.hexdigest())

    write_durably(directory / name, write)
    return SegmentFile(name, digests[0], rows, part.dead)


def read_segment(directory: Path, entry: SegmentFile, dim: int, feature_type: str) -> Part:
    """The part as written. Raises SnapshotError unless every byte is as it was."""
    path = directory / entry.name
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size, entry, dim, feature_type)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{entry.name}: {error}") from error


def _read(file: IO[bytes], size: int, entry: SegmentFile, dim: int, feature_type: str) -> Part:
    digest = hashlib.sha256()
    line = file.readline(4 * 1024 * 1024)
    digest.update(line)
    header = json.loads(line)
    expected = (FORMAT, dim, feature_type, entry.rows)
    if tuple(header[k] for k in ("format", "dim", "feature_type", "rows")) != expected:
        raise SnapshotError(f"{entry.name} is of another kind: {header}")
    segment = Segment(dim, feature_type, entry.rows)
    arrays = _arrays(segment)
    if size != len(line) + sum(array.nbytes for array in arrays):
        raise SnapshotError(f"{entry.name} has the wrong length: {size}")
    for array in arrays:
        view = array.data.cast("B")
        file.readinto(view)  # type: ignore[attr-defined]
        digest.update(view)
    if digest.hexdigest() != entry.sha256:
        raise SnapshotError(f"{entry.name} does not have the SHA-256 of the manifest")
    segment.residual = float(header["residual"])
    segment.spiky = np.array(header["spiky"], np.int64)
    segment.sealed = True
    segment.published(entry.rows)
    return Part(segment, entry.rows, None, 0)
