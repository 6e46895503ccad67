"""Verification sets: pairs of faces with the answer whether they show one person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.data.folder import read_extent, tar_extents
from models.data.opcodes import as_bool, as_bytes, read_inert
from models.data.source import DataError

File = TypeVar("File")


@dataclass(frozen=True, slots=True)
class VerificationSet:
    """P pairs over N encoded images.

    left, right: image indices, shape (P,). same: shape (P,). fold: the cross-validation fold of
    each pair, shape (P,), from 0. names: one per image, for reports of failures.
    """

    images: tuple[bytes, ...]
    names: tuple[str, ...]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NamedPair:
    """One line of a pairs list."""

    left: str
    right: str
    same: bool
    fold: int


def open_bin(path: Path, num_folds: int = 10) -> VerificationSet:
    """An InsightFace `.bin` file. Raises DataError, as `parse_bin` does, on anything else."""
    return parse_bin(path.read_bytes(), num_folds, str(path))


def parse_bin(data: bytes, num_folds: int = 10, where: str = "the .bin") -> VerificationSet:
    """2P images, pair i being images 2i and 2i+1, and P answers.

    The format is a pickle; it is tokenised, never unpickled. Raises DataError on anything else.
    """
    value = read_inert(data)
    if not (isinstance(value, tuple | list) and len(value) == 2):
        raise DataError(f"{where} does not hold an (images, same) pair.")
    images, same = ([*part] if isinstance(part, list | tuple) else [] for part in value)
    if not same or len(images) != 2 * len(same):
        raise DataError(f"{where} holds {len(images)} images for {len(same)} answers, not twice.")
    first = np.arange(0, len(images), 2)
    return VerificationSet(
        images=tuple(as_bytes(image) for image in images),
        names=tuple(str(index) for index in range(len(images))),
        left=first,
        right=first + 1,
        same=np.array([as_bool(answer) for answer in same]),
        fold=contiguous_folds(len(same), num_folds),
    )


def contiguous_folds(pairs: int, num_folds: int) -> NDArray[np.int64]:
    """Folds of equal size in file order, as every published protocol on `.bin` sets has them."""
    return np.arange(pairs) * num_folds // pairs


def read_lfw_pairs(path: Path) -> list[NamedPair]:
    """LFW's pairs lists: `pairs.txt` (10 folds of 300 + 300) and `pairsDev*.txt` (one fold).

    Names are `NAME/NAME_0001.jpg`. Raises DataError when a line or a count is wrong.
    """
    header, *lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
    try:
        num_folds, half = map(int, header if len(header) == 2 else ("1", *header))
        pairs = [_lfw_pair(fields, row // (2 * half)) for row, fields in enumerate(lines)]
    except ValueError as error:
        raise DataError(f"{path} is not an LFW pairs list: {error}.") from error
    if len(pairs) != 2 * half * num_folds:
        raise DataError(
            f"{path} has {len(pairs)} pairs where its head announces {num_folds}×{half}×2."
        )
    return pairs


def _lfw_pair(fields: list[str], fold: int) -> NamedPair:
    if len(fields) == 3:
        name, first, second = fields
        return NamedPair(_lfw_name(name, first), _lfw_name(name, second), True, fold)
    left, first, right, second = fields
    return NamedPair(_lfw_name(left, first), _lfw_name(right, second), False, fold)


def _lfw_name(person: str, number: str) -> str:
    return f"{person}/{person}_{int(number):04d}.jpg"


def open_lfw(images: Path, pairs: Path) -> VerificationSet:
    """A pairs list over images in the LFW layout, from a directory or an uncompressed tar."""
    listed = read_lfw_pairs(pairs)
    names = sorted({name for pair in listed for name in (pair.left, pair.right)})
    return select_pairs(listed, names, _reader(images))


def select_pairs(
    pairs: Sequence[NamedPair], names: Sequence[str], read: Callable[[str], bytes]
) -> VerificationSet:
    """Gather the images that the pairs name."""
    position = {name: index for index, name in enumerate(names)}
    return VerificationSet(
        images=tuple(read(name) for name in names),
        names=tuple(names),
        left=np.array([position[pair.left] for pair in pairs]),
        right=np.array([position[pair.right] for pair in pairs]),
        same=np.array([pair.same for pair in pairs]),
        fold=np.array([pair.fold for pair in pairs]),
    )


def _reader(images: Path) -> Callable[[str], bytes]:
    if images.is_dir():
        found = {str(path.relative_to(images)): path for path in images.glob("*/*")}
        return lambda name: _named(found, name, images).read_bytes()
    extents = tar_extents(images)
    return lambda name: read_extent(str(images), _named(extents, name, images))


def _named(files: Mapping[str, File], name: str, images: Path) -> File:
    if name not in files:
        raise DataError(f"{images} lacks {name}, which the pairs list names.")
    return files[name]
