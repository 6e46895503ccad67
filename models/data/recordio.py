"""InsightFace's RecordIO training sets (`train.rec`, `train.idx`, `property`) without MXNet.

Framing: each record is the magic number, a word of which the low 29 bits are the payload's length
and the high 3 bits its part number (0: whole), then the payload padded to 4 bytes. The payload is
a header `<IfQQ` (flag, label, id, id2), `flag` float32 labels if flag > 0, and the image. Record 0
holds no image: its labels say where the identities begin, so the images are 1 … labels[0]−1.
"""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.source import DataError, Labels

MAGIC = 0xCED7230A
FRAME = struct.Struct("<II")
HEADER = struct.Struct("<IfQQ")
LENGTH_MASK = (1 << 29) - 1


@dataclass(frozen=True, slots=True)
class Record:
    """One payload: its labels (the header's one, or the vector that replaces it) and data."""

    labels: tuple[float, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class RecordIO:
    """A training set in RecordIO; labels are read once when it is opened."""

    path: str
    offsets: NDArray[np.int64]
    labels: Labels
    classes: tuple[str, ...]

    def read(self, index: int) -> bytes:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            return _read_record(descriptor, int(self.offsets[index]), self.path).data
        finally:
            os.close(descriptor)


def open_recordio(directory: Path) -> RecordIO:
    """Open `train.rec` beside `train.idx`. Raises DataError on any break of the framing."""
    path = str(directory / "train.rec")
    positions = _read_index(directory / "train.idx")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        keys = _image_keys(positions, descriptor, path)
        offsets = np.array([positions[key] for key in keys], dtype=np.int64)
        raw = [_read_label(descriptor, int(offset), path) for offset in offsets]
    finally:
        os.close(descriptor)
    classes, labels = np.unique(np.asarray(raw, dtype=np.int64), return_inverse=True)
    return RecordIO(path, offsets, labels.astype(np.int64), tuple(map(str, classes.tolist())))


def write_recordio(directory: Path, images: Iterable[tuple[int, bytes]], side: int = 112) -> None:
    """Write (label, encoded image) pairs as a training set that MXNet's readers accept too."""
    listed = list(images)
    labels = [label for label, _ in listed]
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "train.rec").open("wb") as rec, (directory / "train.idx").open("w") as idx:
        first = Record((len(listed) + 1.0, len(listed) + 1.0 + len(set(labels))), b"")
        records = [first, *(Record((float(label),), data) for label, data in listed)]
        for key, record in enumerate(records):
            idx.write(f"{key}\t{rec.tell()}\n")
            rec.write(_frame(record))
    (directory / "property").write_text(f"{len(set(labels))},{side},{side}")


def _frame(record: Record) -> bytes:
    if len(record.labels) == 1:
        header = HEADER.pack(0, record.labels[0], 0, 0)
    else:
        header = HEADER.pack(len(record.labels), 0.0, 0, 0)
        header += struct.pack(f"<{len(record.labels)}f", *record.labels)
    payload = header + record.data
    return FRAME.pack(MAGIC, len(payload)) + payload + bytes(-len(payload) % 4)


def _read_index(path: Path) -> dict[int, int]:
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
        return {int(key): int(offset) for key, offset in lines}
    except ValueError as error:
        raise DataError(
            f"{path} is not a RecordIO index of `key offset` lines: {error}."
        ) from error


def _image_keys(positions: dict[int, int], descriptor: int, path: str) -> list[int]:
    """The keys of the images: those before the identity records, where record 0 tells them."""
    if not positions:
        raise DataError(f"{path} has an empty index.")
    if 0 in positions:
        first = _read_record(descriptor, positions[0], path)
        if len(first.labels) > 1:
            return [key for key in range(1, int(first.labels[0])) if key in positions]
    return sorted(positions)


def _payload_extent(descriptor: int, offset: int, path: str) -> tuple[int, int]:
    frame = os.pread(descriptor, FRAME.size, offset)
    if len(frame) < FRAME.size:
        raise DataError(f"{path} ends at byte {offset}, where its index promises a record.")
    magic, word = FRAME.unpack(frame)
    if magic != MAGIC:
        raise DataError(
            f"{path} has no record at byte {offset}: the index belongs to another file."
        )
    if word >> 29:
        raise DataError(
            f"{path} splits the record at byte {offset} in parts, which is not supported."
        )
    return offset + FRAME.size, word & LENGTH_MASK


def _read_record(descriptor: int, offset: int, path: str) -> Record:
    start, length = _payload_extent(descriptor, offset, path)
    payload = os.pread(descriptor, length, start)
    if len(payload) < max(length, HEADER.size):
        raise DataError(f"{path} ends inside the record at byte {offset}: it is truncated.")
    flag, label, _, _ = HEADER.unpack_from(payload)
    end = HEADER.size + 4 * flag
    if end > length:
        raise DataError(
            f"{path} announces {flag} labels in a record of {length} bytes at {offset}."
        )
    labels = struct.unpack_from(f"<{flag}f", payload, HEADER.size) if flag else (label,)
    return Record(labels, payload[end:])


def _read_label(descriptor: int, offset: int, path: str) -> float:
    """The first label of a record, without reading its image."""
    start, length = _payload_extent(descriptor, offset, path)
    head = os.pread(descriptor, min(length, HEADER.size + 4), start)
    if len(head) < HEADER.size:
        raise DataError(f"{path} ends inside the record at byte {offset}: it is truncated.")
    flag, label, _, _ = HEADER.unpack_from(head)
    return struct.unpack_from("<f", head, HEADER.size)[0] if flag else label
