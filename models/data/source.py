"""What every store of labelled faces offers: N encoded images by index, each of one identity."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


class DataError(ValueError):
    """The data is not what its format promises; the message names the file and the fault."""


class FaceSource(Protocol):
    """Encoded face images with identities, readable in any order and from forked workers."""

    @property
    def labels(self) -> Labels:
        """Identity of each image, shape (N,), values in [0, len(classes))."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each identity, in label order."""

    def read(self, index: int) -> bytes:
        """The encoded bytes (JPEG, PNG, …) of one image."""


@dataclass(frozen=True, slots=True)
class Subset:
    """Some images of a source, with labels renumbered to 0 … C−1 in the source's class order."""

    source: FaceSource
    labels: Labels
    classes: tuple[str, ...]
    indices: NDArray[np.int64]

    def read(self, index: int) -> bytes:
        return self.source.read(int(self.indices[index]))


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Several sources as one; identities of different sources never merge, even under one name."""

    sources: tuple[FaceSource, ...]
    labels: Labels
    classes: tuple[str, ...]
    starts: NDArray[np.int64]

    def read(self, index: int) -> bytes:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.sources[part].read(index - int(self.starts[part]))


def concatenate(*sources: FaceSource) -> FaceSource:
    """All images of all sources, in order. One source is returned as it is."""
    if len(sources) == 1:
        return sources[0]
    lengths = [len(source.labels) for source in sources]
    first_label = np.cumsum([0, *(len(source.classes) for source in sources)])
    return Concatenation(
        sources=sources,
        labels=np.concatenate(
            [source.labels + first for source, first in zip(sources, first_label, strict=False)]
        ),
        classes=tuple(
            f"{part}/{name}" for part, source in enumerate(sources) for name in source.classes
        ),
        starts=np.cumsum([0, *lengths[:-1]]),
    )


def keep_classes(source: FaceSource, keep: NDArray[np.bool_]) -> FaceSource:
    """The images of the classes where `keep` (shape (C,)) is true."""
    indices = np.flatnonzero(keep[source.labels])
    renumbered = np.cumsum(keep) - 1
    return Subset(
        source=source,
        labels=renumbered[source.labels[indices]].astype(np.int64),
        classes=tuple(np.asarray(source.classes, dtype=object)[keep]),
        indices=indices,
    )


def at_least(source: FaceSource, images: int) -> FaceSource:
    """Only the identities with that many images: one photo teaches a margin loss little."""
    counts = np.bincount(source.labels, minlength=len(source.classes))
    return source if counts.min() >= images else keep_classes(source, counts >= images)


def hold_out(source: FaceSource, share: float) -> tuple[FaceSource, FaceSource]:
    """Split by identity into (training, held out), the latter about `share` of the identities.

    An identity's side depends on its name alone, so it stays put when the data set grows.
    """
    digests = [sha256(name.encode()).digest() for name in source.classes]
    position = np.array([int.from_bytes(digest[:8], "big") / 2**64 for digest in digests])
    held_out = position < share
    return keep_classes(source, ~held_out), keep_classes(source, held_out)


def fingerprint(source: FaceSource) -> str:
    """A digest of the class names and of every image's label: a resumed run must see it again."""
    digest = sha256("\0".join(source.classes).encode())
    digest.update(np.ascontiguousarray(source.labels, dtype="<i8").tobytes())
    return digest.hexdigest()
