"""Two recognisers on the same faces of one gallery: do they find the same people?

Every face drawn is held against every other, on both sides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.rates import supports

PEOPLE, FACES = 500, 1000
"""The most that are drawn: half a million comparisons a side."""
RATES = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True, slots=True)
class Shift:
    """Cosines of `pairs` pairs of faces: their means, and the means' standard deviations."""

    pairs: int
    mean_here: float | None
    mean_there: float | None
    deviation_here: float | None
    deviation_there: float | None


@dataclass(frozen=True, slots=True)
class AtRate:
    """The cosines that keep FMR at `fmr` among the drawn faces, and the FNMR they give."""

    fmr: float
    threshold_here: float
    threshold_there: float
    fnmr_here: float | None
    fnmr_there: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`probes` faces each searched for among the others. `agree`: the same subject is nearest on
    both sides; of the `mated` ones, whose subject has another face, `right` find it."""

    faces: int
    subjects: int
    agree: int
    mated: int
    right_here: int
    right_there: int
    genuine: Shift
    impostor: Shift
    at: tuple[AtRate, ...]


def compare(
    here_ND: NDArray[np.float32], there_NE: NDArray[np.float32], subjects_N: NDArray[np.int64]
) -> Comparison:
    """Raw features of the same N faces on the two sides, at least two."""
    cosines = [_cosines(here_ND), _cosines(there_NE)]
    same_NN = subjects_N[:, None] == subjects_N[None, :]
    pair = np.triu(np.ones_like(same_NN), 1)
    genuine = [scores[pair & same_NN] for scores in cosines]
    impostor = [np.sort(scores[pair & ~same_NN]) for scores in cosines]
    found = [subjects_N[_nearest(scores)] for scores in cosines]
    mated = same_NN.sum(axis=1) > 1
    return Comparison(
        faces=len(subjects_N),
        subjects=len(np.unique(subjects_N)),
        agree=int((found[0] == found[1]).sum()),
        mated=int(mated.sum()),
        right_here=int((found[0] == subjects_N)[mated].sum()),
        right_there=int((found[1] == subjects_N)[mated].sum()),
        genuine=_shift(*genuine),
        impostor=_shift(*impostor),
        at=tuple(
            _at(rate, genuine, impostor) for rate in RATES if supports(rate, len(impostor[0]))
        ),
    )


def _cosines(features_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    unit_ND = features_ND / np.linalg.norm(features_ND, axis=1, keepdims=True)
    return np.asarray(unit_ND @ unit_ND.T, dtype=np.float32)


def _nearest(scores_NN: NDArray[np.float32]) -> NDArray[np.intp]:
    others = scores_NN.copy()
    np.fill_diagonal(others, -2)
    return np.asarray(others.argmax(axis=1))


def _shift(here: NDArray[np.float32], there: NDArray[np.float32]) -> Shift:
    if not len(here):
        return Shift(0, None, None, None, None)
    means, deviations = (here.mean(), there.mean()), (here.std(), there.std())
    return Shift(len(here), *map(float, means), *map(float, deviations))


def _at(
    rate: float, genuine: list[NDArray[np.float32]], impostor: list[NDArray[np.float32]]
) -> AtRate:
    allowed = int(rate * len(impostor[0]) + 1e-9)
    thresholds = [float(np.nextafter(one[-1 - allowed], np.float32(2))) for one in impostor]
    missed = [
        float((scores < threshold).mean()) if len(scores) else None
        for scores, threshold in zip(genuine, thresholds, strict=True)
    ]
    return AtRate(rate, *thresholds, *missed)
