import numpy as np

from export.quality.degrade import degrade


def test_some_crops_stay_and_the_others_change() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    worse = degrade(crops, seed=1)
    changed = (worse != crops).any(axis=(1, 2, 3))
    assert worse.dtype == np.uint8
    assert worse.shape == crops.shape
    assert 0.25 < changed.mean() < 0.55


def test_the_same_seed_degrades_alike() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(degrade(crops, 3), degrade(crops, 3))
