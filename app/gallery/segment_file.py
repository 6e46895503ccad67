"""A sealed segment on disk: a JSON line, then arrays, one after the other.

The file is read only after its length is right and trusted only after its SHA-256 is: damaged
arrays would give wrong answers without any error. Where the gallery is encrypted, the arrays are
sealed in chunks, whose tags do what the SHA-256 does otherwise, at several times its speed.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from app.gallery.files import write_durably
from app.gallery.index.projection import compacted
from app.gallery.index.segment import Part, Segment
from app.gallery.sealing import Seal
from app.security.cipher import TAG_BYTES, CipherError, FileCipher

FORMAT = 2
CHUNK = 256 * 1024
"""Bytes hashed or sealed at once: what a core's cache holds."""


class SnapshotError(Exception):
    """A snapshot file that is damaged, foreign or of another format; the database has it all."""


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """What the manifest says about one file. `dead` rows of the segment are not in it.

    `sha256` is of the whole file, or of the first line where the rest is sealed.
    """

    name: str
    sha256: str
    rows: int
    dead: int


def _arrays(segment: Segment) -> list[NDArray[Any]]:
    return [
        segment.ids,
        segment.subjects,
        segment.inverse_norms,
        segment.features,
        segment.codes,
    ]


def write_segment(directory: Path, name: str, part: Part, seal: Seal | None) -> SegmentFile | None:
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
        "salt": None if seal is None else secrets.token_hex(16),
    }
    line = json.dumps(header).encode() + b"\n"
    digest = hashlib.sha256(line)

    def write(file: IO[bytes]) -> None:
        file.write(line)
        cipher = None if seal is None else _cipher(seal, header, line)
        for chunk in _stored(_arrays(segment), rows, cipher):
            file.write(chunk)
            if seal is None:
                digest.update(chunk)

    write_durably(directory / name, write)
    return SegmentFile(name, digest.hexdigest(), rows, part.dead)


def _stored(
    arrays: list[NDArray[Any]], rows: int, cipher: FileCipher | None
) -> Iterator[bytes | memoryview]:
    for array in arrays:
        for chunk in _chunks(array[:rows].data.cast("B")):
            yield chunk if cipher is None else cipher.seal(chunk)


def _chunks(view: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(view), CHUNK):
        yield view[start : start + CHUNK]


def _cipher(seal: Seal, header: dict[str, Any], line: bytes) -> FileCipher:
    """The header is authenticated with every chunk."""
    return seal.file(bytes.fromhex(header["salt"]), line)


def read_segment(
    directory: Path, entry: SegmentFile, dim: int, feature_type: str, seal: Seal | None
) -> Part:
    """The part as written. Raises SnapshotError unless every byte is as it was."""
    path = directory / entry.name
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size, entry, dim, feature_type, seal)
    except (OSError, ValueError, KeyError, TypeError, CipherError) as error:
        raise SnapshotError(f"{entry.name}: {error}") from error


def _read(
    file: IO[bytes],
    size: int,
    entry: SegmentFile,
    dim: int,
    feature_type: str,
    seal: Seal | None,
) -> Part:
    line = file.readline(4 * 1024 * 1024)
    digest = hashlib.sha256(line)
    header = json.loads(line)
    expected = (FORMAT, dim, feature_type, entry.rows)
    if tuple(header[k] for k in ("format", "dim", "feature_type", "rows")) != expected:
        raise SnapshotError(f"{entry.name} is of another kind: {header}")
    segment = Segment(dim, feature_type, entry.rows)
    views = [chunk for array in _arrays(segment) for chunk in _chunks(array.data.cast("B"))]
    if size != len(line) + sum(len(view) + _overhead(seal) for view in views):
        raise SnapshotError(f"{entry.name} has the wrong length: {size}")
    if seal is None:
        for view in views:
            file.readinto(view)  # type: ignore[attr-defined]
            digest.update(view)
    # With a seal the header's salt says which file this is, and the tags that it is whole.
    if digest.hexdigest() != entry.sha256:
        raise SnapshotError(f"{entry.name} does not have the SHA-256 of the manifest")
    if seal is not None:
        _open_into(file, views, _cipher(seal, header, line))
    segment.residual = float(header["residual"])
    segment.spiky = np.array(header["spiky"], np.int64)
    segment.sealed = True
    segment.published(entry.rows)
    return Part(segment, entry.rows, None, 0)


def _overhead(seal: Seal | None) -> int:
    return 0 if seal is None else TAG_BYTES


def _open_into(file: IO[bytes], views: list[memoryview], cipher: FileCipher) -> None:
    buffer = memoryview(bytearray(CHUNK + TAG_BYTES))
    for view in views:
        sealed = buffer[: len(view) + TAG_BYTES]
        file.readinto(sealed)  # type: ignore[attr-defined]
        cipher.open_into(sealed, view)
