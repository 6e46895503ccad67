"""Eight-bit codes of unit vectors, and how far they can be from the truth.

A component v is kept as round(v · 127 / reach), with `reach` large enough that an isotropic
unit vector is hardly ever clipped. The product of two coded vectors differs from the exact cosine
by at most what Cauchy–Schwarz allows their residuals:

    |⟨v, q⟩ − ⟨v̂, q̂⟩| ≤ ‖v − v̂‖·‖q‖ + ‖v̂‖·‖q − q̂‖

which is what lets a search over codes prove that its answer is the exact one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
OFFSET = 128
"""FAISS keeps signed codes as bytes with this offset."""
SLACK = 1e-5
"""For the float32 arithmetic around the integers."""


def reach(dim: int) -> float:
    """5.7 standard deviations of a component of a random unit vector, at most 1."""
    return float(min(1.0, 4 * np.sqrt(2 / dim)))


@dataclass(frozen=True, slots=True)
class Coded:
    """`codes` uint8 (N, D); `residual` float32 (N,): ‖v − v̂‖ of each row."""

    codes: NDArray[np.uint8]
    residual: NDArray[np.float32]


def encode(unit_ND: NDArray[np.float32]) -> Coded:
    """Codes of unit vectors, float32 (N, D)."""
    step = np.float32(reach(unit_ND.shape[1]) / LEVELS)
    levels = np.clip(np.rint(unit_ND / step), -LEVELS, LEVELS)
    residual = np.linalg.norm(unit_ND - levels * step, axis=1)
    return Coded((levels + OFFSET).astype(np.uint8), residual.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Queries:
    """Probes as the scan takes them.

    `unit` float64 (Q, D); `levels` float32 (Q, D), whole numbers within ±127: FAISS truncates
    a query of signed codes to int8, so it is rounded here; `step` float64 (Q,): a scan's
    integer times `step` approximates the cosine; `residual` float64 (Q,): ‖q − q̂‖.
    """

    unit: NDArray[np.float64]
    levels: NDArray[np.float32]
    step: NDArray[np.float64]
    residual: NDArray[np.float64]

    @classmethod
    def of(cls, features_QD: NDArray[np.float32]) -> "Queries":
        """From raw features; none of them zero."""
        raw = features_QD.astype(np.float64)
        unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        own = np.abs(unit).max(axis=1) / LEVELS
        levels = np.rint(unit / own[:, None])
        residual = np.linalg.norm(unit - levels * own[:, None], axis=1)
        step = own * (reach(unit.shape[1]) / LEVELS)
        return cls(unit, levels.astype(np.float32), step, residual)

    @classmethod
    def join(cls, several: "list[Queries]") -> "Queries":
        """Several batches as one; each probe keeps its bits."""
        return cls(
            np.concatenate([one.unit for one in several]),
            np.concatenate([one.levels for one in several]),
            np.concatenate([one.step for one in several]),
            np.concatenate([one.residual for one in several]),
        )

    def __len__(self) -> int:
        return len(self.unit)

    def take(self, which: NDArray[np.int64] | slice) -> "Queries":
        return Queries(self.unit[which], self.levels[which], self.step[which], self.residual[which])

    def error(self, row_residual: float) -> NDArray[np.float64]:
        """(Q,): the most by which a scan's score can be wrong for rows of this residual."""
        return row_residual + (1 + row_residual) * self.residual + SLACK
