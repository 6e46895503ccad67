"""Faces as `IDENTITY/IMAGE.jpg`, in a directory or in an uncompressed tar, read in place."""

import os
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from models.data.source import DataError, Labels

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """`root/IDENTITY/IMAGE.jpg`; identities and images in sorted order."""

    paths: tuple[str, ...]
    labels: Labels
    classes: tuple[str, ...]

    def read(self, index: int) -> bytes:
        return Path(self.paths[index]).read_bytes()


@dataclass(frozen=True, slots=True)
class Extent:
    """Where one file lies inside an archive, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class TarFolder:
    """The same layout inside a .tar: the archive is indexed once, then read by position."""

    path: str
    extents: tuple[Extent, ...]
    labels: Labels
    classes: tuple[str, ...]

    def read(self, index: int) -> bytes:
        extent = self.extents[index]
        return read_extent(self.path, extent)


def read_extent(path: str, extent: Extent) -> bytes:
    """The bytes of one extent. The file is opened for each read: forked workers share no offset."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(descriptor, extent.size, extent.offset)
    finally:
        os.close(descriptor)
    if len(data) != extent.size:
        raise DataError(f"{path} ends inside the file at byte {extent.offset}: it is truncated.")
    return data


def tar_extents(path: Path) -> dict[str, Extent]:
    """Name → extent of every regular file of an uncompressed tar."""
    try:
        with tarfile.open(path, "r:") as archive:
            return {
                str(PurePosixPath(member.name)): Extent(member.offset_data, member.size)
                for member in archive
                if member.isreg()
            }
    except tarfile.ReadError as error:
        raise DataError(f"{path} is not an uncompressed tar archive: {error}.") from error


def open_image_folder(root: Path) -> ImageFolder:
    """Index a directory of identities. Raises DataError when it holds no image."""
    names = (path.relative_to(root).as_posix() for path in root.glob("*/*"))
    images, labels, classes = _by_identity(names, str(root))
    return ImageFolder(tuple(str(root / name) for name in images), labels, classes)


def open_tar_folder(path: Path) -> TarFolder:
    """Index a tar of identities. Raises DataError when it holds no image."""
    extents = tar_extents(path)
    images, labels, classes = _by_identity(extents, str(path))
    return TarFolder(str(path), tuple(extents[name] for name in images), labels, classes)


def _by_identity(names: Iterable[str], where: str) -> tuple[list[str], Labels, tuple[str, ...]]:
    images = sorted(name for name in names if _is_image(PurePosixPath(name)))
    if not images:
        raise DataError(f"{where} holds no IDENTITY/IMAGE.jpg: expected one directory per person.")
    identities = [PurePosixPath(name).parent.name for name in images]
    classes, labels = np.unique(identities, return_inverse=True)
    return images, labels.astype(np.int64), tuple(classes.tolist())


def _is_image(path: PurePosixPath) -> bool:
    return len(path.parts) == 2 and path.suffix.lower() in IMAGE_SUFFIXES
