from itertools import islice

import numpy as np
import pytest
import torch

from models.data.augment import Augmentation
from models.data.batches import (
    FaceBatch,
    FaceDataset,
    Paired,
    RankBatches,
    Shuffled,
    face_dataset,
    face_loader,
)
from models.data.folder import ImageFolder
from models.data.samplers import PKSampler

NO_CACHE, CACHE = 0, 10**9
HEAVY = Augmentation(jitter=0.05, probability=1.0)


@pytest.fixture
def dataset(source: ImageFolder) -> FaceDataset:
    return face_dataset(source, HEAVY, seed=3, cache_bytes=CACHE)


def batches(
    dataset: FaceDataset,
    count: int,
    first: int = 0,
    rank: int = 0,
    ranks: int = 1,
    workers: int = 0,
) -> list[FaceBatch]:
    order = Shuffled(num_images=6, batch_size=2, seed=5)
    share = RankBatches(order, first, rank, ranks)
    return list(islice(face_loader(dataset, share, workers, pin_memory=False), count))


def assert_same(a: list[FaceBatch], b: list[FaceBatch]) -> None:
    assert len(a) == len(b)
    for left, right in zip(a, b, strict=True):
        assert torch.equal(left.images, right.images)
        assert torch.equal(left.labels, right.labels)


def test_an_epoch_shows_each_image_once() -> None:
    order = Shuffled(num_images=7, batch_size=2, seed=0)
    epoch = order.epoch(0)
    assert epoch.shape == (3, 2)
    assert len(np.unique(epoch)) == 6
    assert not np.array_equal(epoch, order.epoch(1))
    np.testing.assert_array_equal(epoch, order.epoch(0))


def test_fewer_images_than_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="3 images do not fill one batch of 4"):
        Shuffled(num_images=3, batch_size=4, seed=0)


def test_paired_batches_are_groups_of_one_identity(source: ImageFolder) -> None:
    sampler = PKSampler(source.labels.tolist(), classes_per_batch=2, samples_per_class=2, seed=1)
    order = Paired(sampler)
    first = order.epoch(0)
    assert first.shape == (len(order), 4)
    groups = source.labels[first].reshape(-1, 2)
    assert (groups[:, 0] == groups[:, 1]).all()
    order.epoch(3)
    np.testing.assert_array_equal(order.epoch(0), first)


def test_batches_are_uint8_images_with_their_labels(dataset: FaceDataset) -> None:
    (batch,) = batches(dataset, 1)
    assert batch.images.shape == (2, 112, 112, 3)
    assert batch.images.dtype == torch.uint8
    assert batch.labels.dtype == torch.int64


def test_starting_later_goes_on_with_the_same_batches(dataset: FaceDataset) -> None:
    """Steps 2 to 7 of two epochs and a bit, which begin inside the first epoch."""
    assert_same(batches(dataset, 6, first=2), batches(dataset, 8)[2:])


def test_ranks_share_the_batches_of_one(dataset: FaceDataset) -> None:
    whole = batches(dataset, 4)
    halves = [batches(dataset, 4, rank=rank, ranks=2) for rank in range(2)]
    joined = [
        FaceBatch(torch.cat([a.images, b.images]), torch.cat([a.labels, b.labels]))
        for a, b in zip(*halves, strict=True)
    ]
    assert_same(joined, whole)


def test_the_cache_changes_no_pixel(source: ImageFolder, dataset: FaceDataset) -> None:
    uncached = face_dataset(source, HEAVY, seed=3, cache_bytes=NO_CACHE)
    assert dataset.pixels is not None
    assert uncached.pixels is None
    assert_same(batches(uncached, 3), batches(dataset, 3))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_change_no_pixel(dataset: FaceDataset) -> None:
    assert_same(batches(dataset, 4, workers=2), batches(dataset, 4))


def test_an_image_differs_from_epoch_to_epoch(dataset: FaceDataset) -> None:
    (first, _), (second, _) = dataset[(0, 1)], dataset[(1, 1)]
    assert not np.array_equal(first, second)
