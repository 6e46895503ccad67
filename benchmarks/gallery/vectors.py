"""Faces clustered as identities are: five each, cosine 0.6 within one, spread in 150 dimensions of
512 besides noise. Probes are unseen faces of enrolled identities."""

import numpy as np
from numpy.typing import NDArray

DIM, INTRINSIC, PER_SUBJECT, WITHIN = 512, 150, 5, 0.6
Features = NDArray[np.float32]


def identities(count: int, seed: int = 0) -> tuple[Features, Features]:
    """(faces (5·count, D), one unseen probe for each of the first 1000), unit length."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0][:INTRINSIC].astype(np.float32)
    faces = np.empty((count * PER_SUBJECT, DIM), np.float32)
    probes = np.empty((0, DIM), np.float32)
    for start in range(0, count, 10_000):
        size = min(10_000, count - start)
        centres = _unit(rng.standard_normal((size, INTRINSIC)).astype(np.float32) @ basis)
        if start == 0:
            probes = _seen(centres[:1000], rng)
        rows = _seen(np.repeat(centres, PER_SUBJECT, axis=0), rng)
        faces[start * PER_SUBJECT : (start + size) * PER_SUBJECT] = rows
    return faces, probes


def _seen(centres: Features, rng: np.random.Generator) -> Features:
    noise = _unit(rng.standard_normal(centres.shape, np.float32))
    return _unit(centres * np.float32(WITHIN**0.5) + noise * np.float32((1 - WITHIN) ** 0.5))


def _unit(rows: Features) -> Features:
    unit: Features = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
