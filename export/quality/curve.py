"""The norm as a quality from 0 to 100."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TAIL = 0.05


@dataclass(frozen=True, slots=True)
class Curve:
    """quality = 100 / (1 + exp((centre − norm) / width)), the form of OFIQ (ISO/IEC 29794-5)."""

    centre: float
    width: float

    def __call__(self, norms_N: NDArray[np.float32]) -> NDArray[np.float64]:
        """Qualities in [0, 100], not rounded; rises strictly with the norm."""
        steps = (norms_N.astype(np.float64) - self.centre) / self.width
        return np.asarray(50 * (1 + np.tanh(steps / 2)))


def fit_curve(norms_N: NDArray[np.float32]) -> Curve:
    """The median norm at 50, the 5th and 95th percentiles about at 5 and 95.

    Norm ranges differ from training to training, so every model needs its own.
    """
    low, centre, high = np.quantile(norms_N.astype(np.float64), [_TAIL, 0.5, 1 - _TAIL])
    width = (high - low) / (2 * math.log((1 - _TAIL) / _TAIL))
    return Curve(float(centre), max(float(width), 1e-6))
