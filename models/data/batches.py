"""Batches as a pure function of (seed, epoch, position), so that a run can stop anywhere.

The global batch is what the recipe names; each rank takes its share of it. Neither the number of
ranks nor of workers changes which images, in which augmented version, step k sees.
"""

import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from models.data.augment import Augmentation, augment, image_rng
from models.data.decode import SIDE, Pixels, decode_all, decode_crop, decoded_bytes
from models.data.samplers import PKSampler
from models.data.source import FaceSource

Indices = NDArray[np.int64]


class FaceBatch(NamedTuple):
    """images: (B, H, W, 3) RGB uint8. labels: (B,) int64."""

    images: Tensor
    labels: Tensor


class BatchOrder(Protocol):
    """Which images each global batch of an epoch holds."""

    def __len__(self) -> int:
        """Batches per epoch."""

    def epoch(self, epoch: int) -> Indices:
        """Image indices of one epoch, shape (batches, batch size)."""


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Every image at most once per epoch; the last, incomplete batch is left out.

    Left out because Partial FC and batch norm need batches of equal size on every rank.
    """

    num_images: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.num_images < self.batch_size:
            raise ValueError(f"{self.num_images} images do not fill one batch of {self.batch_size}")

    def __len__(self) -> int:
        return self.num_images // self.batch_size

    def epoch(self, epoch: int) -> Indices:
        order = np.random.default_rng((self.seed, epoch)).permutation(self.num_images)
        return order[: len(self) * self.batch_size].reshape(len(self), self.batch_size)


@dataclass(frozen=True, slots=True)
class Paired:
    """P identities × K images in each batch, for losses over pairs.

    A rank's share holds whole groups of K, for pairs are formed within a rank.
    """

    sampler: PKSampler

    def __len__(self) -> int:
        self.sampler.set_epoch(0)
        return len(self.sampler)

    def epoch(self, epoch: int) -> Indices:
        self.sampler.set_epoch(epoch)
        return np.array(list(self.sampler), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class FaceDataset(Dataset[tuple[Pixels, int]]):
    """Augmented images by (epoch, index). `pixels` are the decoded crops, where they fit."""

    source: FaceSource
    augmentation: Augmentation
    seed: int
    pixels: Pixels | None = None

    def __getitem__(self, key: tuple[int, int]) -> tuple[Pixels, int]:
        epoch, index = key
        image = self.pixels[index] if self.pixels is not None else self._decode(index)
        rng = image_rng(self.seed, epoch, index)
        return augment(image, self.augmentation, rng), int(self.source.labels[index])

    def __getitems__(self, keys: list[tuple[int, int]]) -> FaceBatch:
        images = np.empty((len(keys), SIDE, SIDE, 3), dtype=np.uint8)
        labels = np.empty(len(keys), dtype=np.int64)
        for row, key in enumerate(keys):
            images[row], labels[row] = self[key]
        return FaceBatch(torch.from_numpy(images), torch.from_numpy(labels))

    def _decode(self, index: int) -> Pixels:
        return decode_crop(self.source.read(index))


def face_dataset(
    source: FaceSource, augmentation: Augmentation, seed: int, cache_bytes: int
) -> FaceDataset:
    """A dataset that keeps its decoded crops in memory when they take at most `cache_bytes`.

    They are decoded at once, before workers are forked, which then share them.
    """
    pixels = decode_all(source) if decoded_bytes(source) <= cache_bytes else None
    return FaceDataset(source, augmentation, seed, pixels)


@dataclass(frozen=True, slots=True)
class RankBatches:
    """One rank's share of every batch from a global step on, as (epoch, index) keys, for ever."""

    order: BatchOrder
    first_step: int
    rank: int
    num_ranks: int

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, position = divmod(self.first_step, len(self.order))
        while True:
            for batch in self.order.epoch(epoch)[position:]:
                share = np.split(batch, self.num_ranks)[self.rank]
                yield [(epoch, index) for index in share.tolist()]
            epoch, position = epoch + 1, 0


def face_loader(
    dataset: FaceDataset, batches: RankBatches, workers: int, pin_memory: bool
) -> Iterable[FaceBatch]:
    """Batches from forked workers, or from this process when `workers` is 0."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_as_is,
        worker_init_fn=_outlive_interruptions,
        pin_memory=pin_memory,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="fork" if workers else None,
    )


def _outlive_interruptions(worker: int) -> None:
    """A Ctrl-C reaches the whole process group, but the trainer still wants its last batch.

    A worker leaves when the trainer is done with it, or gone.
    """
    del worker
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _as_is(batch: Any) -> Any:  # noqa: ANN401 (__getitems__ made it a FaceBatch already)
    return batch
