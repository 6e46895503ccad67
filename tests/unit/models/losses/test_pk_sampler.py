"""P classes times K images, for pair losses."""

from collections import Counter

import numpy as np
import pytest

from models.data.samplers import PKSampler

LABELS = [c for c, count in enumerate([6, 9, 4, 4, 1, 7, 2, 5, 8, 3]) for _ in range(count)]


def sampler(**given: int) -> PKSampler:
    return PKSampler(LABELS, **{"classes_per_batch": 3, "samples_per_class": 4, **given})


def test_batches_hold_p_distinct_classes_of_k_images() -> None:
    batches = list(sampler())
    assert len(batches) == len(sampler()) == 48 // 12
    for batch in batches:
        classes = [LABELS[index] for index in batch]
        assert list(Counter(classes).values()) == [4, 4, 4]


def test_images_repeat_only_where_a_class_is_too_small() -> None:
    pk = sampler()
    for epoch in range(20):
        pk.set_epoch(epoch)
        for batch in pk:
            for index, times in Counter(batch).items():
                size = LABELS.count(LABELS[index])
                assert times <= -(-4 // size)


def test_every_class_and_every_image_gets_its_turn() -> None:
    pk = sampler()
    seen = Counter()
    for epoch in range(60):
        pk.set_epoch(epoch)
        seen.update(index for batch in pk for index in batch)
    paired = {index for index, label in enumerate(LABELS) if label != 4}
    assert seen.keys() == paired
    classes = Counter()
    for index, times in seen.items():
        classes[LABELS[index]] += times
    assert max(classes.values()) < 1.5 * min(classes.values())


def test_single_images_are_left_out_and_counted() -> None:
    pk = sampler()
    assert pk.left_out == 1
    assert LABELS.index(4) not in {index for batch in pk for index in batch}


def test_batches_are_a_function_of_seed_and_epoch() -> None:
    one, two = sampler(seed=3), sampler(seed=3)
    assert list(one) == list(one) == list(two)
    two.set_epoch(1)
    assert list(one) != list(two)
    assert list(one) != list(sampler(seed=4))


def test_a_resumed_epoch_goes_on_where_it_stopped() -> None:
    whole, resumed = sampler(), sampler()
    whole.set_epoch(5)
    resumed.set_epoch(5, start=2)
    assert list(resumed) == list(whole)[2:]
    assert len(resumed) == 2


def test_ranks_share_one_stream_equally() -> None:
    one = sampler(ranks=1)
    parts = [list(sampler(rank=rank, ranks=2)) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) == 2
    together = [batch for pair in zip(*parts, strict=True) for batch in pair]
    assert together == list(one)


def test_refuses_what_gives_no_pairs() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        sampler(samples_per_class=1)
    with pytest.raises(ValueError, match="only 9 classes"):
        sampler(classes_per_batch=10)


def test_labels_may_be_any_integers_in_any_order() -> None:
    labels = np.array([70, -1, 70, 5, 5, -1])
    pk = PKSampler(labels, classes_per_batch=3, samples_per_class=2)
    (batch,) = pk
    assert sorted(batch) == [0, 1, 2, 3, 4, 5]
