"""Synthetic people whose true error rates are known."""

from collections.abc import Callable

import numpy as np
import pytest

from export.calibrate.labels import Attempts, LabelledFeatures

People = Callable[..., LabelledFeatures]


def _people(
    subjects: int, photos: int = 2, dim: int = 16, noise: float = 0.3, seed: int = 0
) -> LabelledFeatures:
    """Directions uniform on the sphere; each photo is its subject's with isotropic noise."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((subjects, dim))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    codes = np.repeat(np.arange(subjects, dtype=np.int32), photos)
    features = centres[codes] + noise * random.standard_normal((len(codes), dim)) / np.sqrt(dim)
    names = tuple(f"{code}/{row}.jpg" for row, code in enumerate(codes))
    features_ND = (20 * features).astype(np.float32)
    return LabelledFeatures("c1-test", features_ND, codes, names, Attempts(len(names)))


@pytest.fixture
def people() -> People:
    return _people
