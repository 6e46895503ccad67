"""People whose photos have a known quality, with norms that tell it, or tell nothing, or lie."""

from collections.abc import Callable

import numpy as np
import pytest

from export.calibrate.labels import Attempts, LabelledFeatures, Measures

KnownQuality = Callable[..., LabelledFeatures]


def _known_quality(
    norm: str = "honest", subjects: int = 300, seed: int = 0, dim: int = 32, by_person: bool = False
) -> LabelledFeatures:
    """Features q · centre + √(1 − q²) · noise, two photos a person, by `norm` in length.

    q is uniform in [0.5, 1], or `by_person` at one of the two ends.
    """
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(subjects, dtype=np.int32), 2)
    centres = random.standard_normal((subjects, dim))
    noise = random.standard_normal((len(codes), dim))
    quality = random.uniform(0.5, 1, len(codes))
    if by_person:
        quality = random.choice([0.5, 1.0], subjects)[codes]
    features = quality[:, None] * _unit(centres)[codes]
    features += np.sqrt(1 - quality**2)[:, None] * _unit(noise)
    told = {"honest": quality, "silent": random.uniform(0.5, 1, len(codes)), "lying": 1.5 - quality}
    scaled = _unit(features) * (20 * told[norm])[:, None]
    names = tuple(f"{row}.jpg" for row in range(len(codes)))
    constant = np.ones(len(codes), dtype=np.float32)
    measures = Measures(constant, constant, quality.astype(np.float32))
    return LabelledFeatures(
        "c1-test", scaled.astype(np.float32), codes, names, Attempts(len(names)), measures
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.fixture
def known_quality() -> KnownQuality:
    return _known_quality
