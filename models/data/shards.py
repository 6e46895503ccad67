"""Tar shards in the WebDataset layout: `KEY.jpg` beside `KEY.cls`, a text file with the label.

Tar shards rather than LMDB: any tool can read them, and they need no library. Images are reached
by position, so shuffling and resuming are as exact as with files. The first opening of a
directory of shards reads every header; our own writer leaves an index that makes it immediate.
"""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from models.data.folder import IMAGE_SUFFIXES, Extent, read_extent, tar_extents
from models.data.source import DataError, FaceSource, Labels

INDEX = "index.npz"
INDEX_FIELDS = ("shards", "shard", "offset", "size", "label", "shard_bytes")


@dataclass(frozen=True, slots=True)
class TarShards:
    """Images of all shards of a directory, in shard order."""

    paths: tuple[str, ...]
    shard: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    labels: Labels
    classes: tuple[str, ...]

    def read(self, index: int) -> bytes:
        extent = Extent(int(self.offset[index]), int(self.size[index]))
        return read_extent(self.paths[self.shard[index]], extent)


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of one shard, with its label as written."""

    shard: int
    extent: Extent
    label: int


def open_shards(directory: Path) -> TarShards:
    """Open every `*.tar` of a directory. Raises DataError on an image without a label."""
    paths = sorted(directory.glob("*.tar"))
    if not paths:
        raise DataError(f"{directory} holds no *.tar shard.")
    if (directory / INDEX).exists():
        return _from_index(directory, paths)
    entries = [entry for shard, path in enumerate(paths) for entry in _scan(shard, path)]
    return _assemble(paths, entries)


def write_shards(source: FaceSource, directory: Path, images_per_shard: int = 10_000) -> None:
    """Write a source as shards `00000.tar` … with their index."""
    directory.mkdir(parents=True, exist_ok=True)
    total = len(source.labels)
    for number, start in enumerate(range(0, total, images_per_shard)):
        with tarfile.open(directory / f"{number:05d}.tar", "w") as archive:
            for index in range(start, min(start + images_per_shard, total)):
                _add(archive, f"{index:09d}.jpg", source.read(index))
                _add(archive, f"{index:09d}.cls", str(int(source.labels[index])).encode())
    _write_index(directory)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _scan(shard: int, path: Path) -> Iterator[Entry]:
    extents = tar_extents(path)
    for name, extent in extents.items():
        if PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        # WebDataset's key ends at the first dot of the base name.
        key = str(PurePosixPath(name).with_name(PurePosixPath(name).name.split(".")[0]))
        yield Entry(shard, extent, _label(path, f"{key}.cls", extents))


def _label(path: Path, name: str, extents: dict[str, Extent]) -> int:
    if name not in extents:
        raise DataError(f"{path} holds an image without its label file {name}.")
    text = read_extent(str(path), extents[name])
    if not text.strip().isdigit():
        raise DataError(f"{path}: {name} is not a label but {text[:20]!r}.")
    return int(text)


def _assemble(paths: list[Path], entries: list[Entry]) -> TarShards:
    if not entries:
        raise DataError(f"{paths[0].parent} holds shards without any image.")
    classes, labels = np.unique([entry.label for entry in entries], return_inverse=True)
    return TarShards(
        paths=tuple(map(str, paths)),
        shard=np.array([entry.shard for entry in entries], dtype=np.int64),
        offset=np.array([entry.extent.offset for entry in entries], dtype=np.int64),
        size=np.array([entry.extent.size for entry in entries], dtype=np.int64),
        labels=labels.astype(np.int64),
        classes=tuple(map(str, classes.tolist())),
    )


def _write_index(directory: Path) -> None:
    source = open_shards(directory)
    paths = [Path(path) for path in source.paths]
    np.savez(
        directory / INDEX,
        shards=np.array([path.name for path in paths]),
        shard_bytes=np.array([path.stat().st_size for path in paths]),
        shard=source.shard,
        offset=source.offset,
        size=source.size,
        label=np.array([int(name) for name in source.classes])[source.labels],
    )


def _from_index(directory: Path, paths: list[Path]) -> TarShards:
    with np.load(directory / INDEX, allow_pickle=False) as index:
        fields = {name: index[name] for name in INDEX_FIELDS}
    sizes = [path.stat().st_size for path in paths]
    if fields["shards"].tolist() != [path.name for path in paths] or (
        fields["shard_bytes"].tolist() != sizes
    ):
        raise DataError(f"{directory / INDEX} describes other shards: delete it to index anew.")
    classes, labels = np.unique(fields["label"], return_inverse=True)
    return TarShards(
        paths=tuple(map(str, paths)),
        shard=fields["shard"],
        offset=fields["offset"],
        size=fields["size"],
        labels=labels.astype(np.int64),
        classes=tuple(map(str, classes.tolist())),
    )
