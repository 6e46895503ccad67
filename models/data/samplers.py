"""Batches of P classes with K images each, so that a pair loss always finds its pairs."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Indices = NDArray[np.int64]


class PKSampler(Sampler[list[int]]):
    """A batch sampler: lists of P·K indices, P distinct classes in a row of K images each.

    Classes take turns, so that each is seen as often as any other; a class's images are all seen
    before one comes again, and one comes twice in a batch only where the class has fewer than K.
    Classes with a single image form no pair and are left out.

    The batches are a function of (seed, epoch). Ranks take them in turn, equally many each; an
    epoch is about as many images as there are.
    """

    def __init__(
        self,
        labels: Sequence[int],
        *,
        classes_per_batch: int,
        samples_per_class: int,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        if samples_per_class < 2 or classes_per_batch < 2:
            raise ValueError("pairs need at least 2 classes per batch and 2 samples per class")
        self._members = [rows for rows in _by_class(labels) if len(rows) > 1]
        if len(self._members) < classes_per_batch:
            raise ValueError(
                f"{classes_per_batch} classes per batch, but only {len(self._members)} classes "
                "have two images or more"
            )
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self._seed, self._rank, self._ranks = seed, rank, ranks
        self._epoch, self._start = 0, 0
        images = sum(map(len, self._members))
        self.left_out = len(labels) - images
        self._batches = max(1, images // (classes_per_batch * samples_per_class * ranks))

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch to come; `start` is its first batch, for a run resumed inside it."""
        self._epoch, self._start = epoch, start

    def __len__(self) -> int:
        """Batches of this rank that are left in the epoch."""
        return max(0, self._batches - self._start)

    def __iter__(self) -> Iterator[list[int]]:
        first = self._start * self._ranks + self._rank
        return islice(self._stream(), first, self._batches * self._ranks, self._ranks)

    def _stream(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self._seed, self._epoch])
        draws = [_groups(rng, rows, self.samples_per_class) for rows in self._members]
        while True:
            turns = rng.permutation(len(draws))
            for at in range(0, len(turns) - self.classes_per_batch + 1, self.classes_per_batch):
                chosen = turns[at : at + self.classes_per_batch]
                yield [index for turn in chosen for index in next(draws[turn])]


def _by_class(labels: Sequence[int]) -> list[Indices]:
    """The rows of each class, classes in ascending order."""
    array = np.asarray(labels)
    order = np.argsort(array, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(array[order])) + 1)


def _groups(rng: np.random.Generator, rows: Indices, size: int) -> Iterator[list[int]]:
    """Endless groups of `size` rows, shuffled anew each time the class has been through."""
    while True:
        order = rng.permutation(rows)
        if len(order) < size:
            order = np.resize(order, size)
        for at in range(0, len(order) - size + 1, size):
            yield order[at : at + size].tolist()
