"""Golden vectors: fixed inputs and what the network gave for them when the package was made.

A service that cannot reproduce them does not become ready: a wrong runtime, a damaged file or a
changed preprocessing all show here. Only numpy, so that both sides can use it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from export.contract import normalise, norms

INPUTS = "inputs"
FEATURES = "features"

MIN_COSINE = 0.999
MAX_NORM_DRIFT = 0.01
"""Relative. Loose enough for another processor's arithmetic, far under any real mistake."""
MAX_ROUGH_DRIFT = 0.3
"""Relative, of a detector in bfloat16: SCRFD-2.5G is off by 0.03, SCRFD-500M by 0.17 and they find
the same faces (benchmarks/results/variants.md); another network is off by more than 1."""


def inputs(side: int, count: int = 4) -> NDArray[np.uint8]:
    """Smooth random colour patterns, uint8 RGB (count, side, side, 3), the same on every machine.

    No one's face, and yet low frequencies with contrast, so that features are not degenerate.
    """
    generator = np.random.Generator(np.random.PCG64(20211112))
    coarse = generator.random((count, 8, 8, 3))
    at = np.linspace(0, 7, side)
    low = np.minimum(at.astype(int), 6)
    part = at - low
    rows = coarse[:, low] * (1 - part)[:, None, None] + coarse[:, low + 1] * part[:, None, None]
    smooth = rows[:, :, low] * (1 - part)[:, None] + rows[:, :, low + 1] * part[:, None]
    return np.asarray(np.round(smooth * 255), dtype=np.uint8)


def feature_problem(expected_ND: NDArray[np.float32], found_ND: NDArray[np.float32]) -> str | None:
    """Why the found features do not reproduce the golden ones, or None where they do."""
    if expected_ND.shape != found_ND.shape:
        return f"features of shape {found_ND.shape}, golden ones have {expected_ND.shape}"
    cosines = (normalise(expected_ND) * normalise(found_ND)).sum(axis=1)
    drift = np.abs(norms(found_ND) / norms(expected_ND) - 1)
    if not (cosines.min() >= MIN_COSINE and drift.max() <= MAX_NORM_DRIFT):
        return f"lowest cosine {cosines.min():.5f}, largest norm drift {drift.max():.5f}"
    return None


def output_problem(
    expected: Sequence[NDArray[np.float32]], found: Sequence[NDArray[np.float32]]
) -> str | None:
    """The same for a detector's raw outputs: no number far off, by their largest one's measure."""
    return _first_far(expected, found, _worst, MAX_NORM_DRIFT)


def rough_output_problem(
    expected: Sequence[NDArray[np.float32]], found: Sequence[NDArray[np.float32]]
) -> str | None:
    """The same of an arithmetic that rounds coarsely: not far off in all, by root mean square.

    On such inputs single numbers stray, and differently on each processor.
    """
    return _first_far(expected, found, _typical, MAX_ROUGH_DRIFT)


Distance = Callable[[NDArray[np.float32], NDArray[np.float32]], float]


def _worst(old: NDArray[np.float32], new: NDArray[np.float32]) -> float:
    return float(np.abs(old - new).max(initial=0)) / max(1.0, float(np.abs(old).max()))


def _typical(old: NDArray[np.float32], new: NDArray[np.float32]) -> float:
    least = float(np.finfo(np.float32).tiny)
    return float(np.linalg.norm(old - new)) / max(least, float(np.linalg.norm(old)))


def _first_far(
    expected: Sequence[NDArray[np.float32]],
    found: Sequence[NDArray[np.float32]],
    distance: Distance,
    most: float,
) -> str | None:
    for number, (old, new) in enumerate(zip(expected, found, strict=True)):
        if old.shape != new.shape:
            return f"output {number} has shape {new.shape}, the golden one {old.shape}"
        off = distance(old, new)
        if not off <= most:
            return f"output {number} is off by {off:.5f}"
    return None
