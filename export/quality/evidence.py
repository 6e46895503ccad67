"""Does the error fall as the photos of the lowest norm leave? Against chance and against rivals."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export import tables as schema
from export.calibrate.comparisons import Batch
from export.errors import CalibrationError
from models.evaluate.discard import DiscardCurve, discard_curve, pair_quality

LIMIT = 0.3
"""Largest discarded fraction that counts: nobody refuses more than a third of their photos."""
_SHUFFLES = 500
_DRAWN = 60

Qualities = Mapping[str, NDArray[np.float32]]
"""Measures of quality by name, one value a photo, larger taken to be better."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The genuine comparisons of a set of photos, at the threshold of one FMR."""

    genuine: Batch = field(repr=False)
    fmr: float
    threshold: float


def evidence(
    trial: Trial, qualities: Qualities, degraded: bool, seed: int = 0
) -> schema.DiscardEvidence:
    """Error-versus-discard curves of all measures, and the band that chance reaches.

    Chance is the photos' first measure dealt out at random (so ties stay), many times over.
    Raises CalibrationError where no genuine comparison is missed: nothing could improve.
    """
    misses = int((trial.genuine.scores_P < trial.threshold).sum())
    if misses == 0:
        raise CalibrationError(
            f"every genuine comparison matches at FMR {trial.fmr:g}: discarding cannot improve it"
        )
    areas = _shuffled_areas(trial, next(iter(qualities.values())), np.random.default_rng(seed))
    low, high = np.quantile(areas, [0.025, 0.975])
    return schema.DiscardEvidence(
        photos="degraded" if degraded else "as given",
        fmr=trial.fmr,
        threshold=trial.threshold,
        genuine=len(trial.genuine.scores_P),
        misses=misses,
        limit=LIMIT,
        chance=(float(low), float(high)),
        curves=[
            _record(name, _curve(trial, quality_N), float(low))
            for name, quality_N in qualities.items()
        ],
    )


def _curve(trial: Trial, quality_N: NDArray[np.float32]) -> DiscardCurve:
    pairs_P2 = np.stack([trial.genuine.left_P, trial.genuine.right_P], axis=1)
    quality_P = pair_quality(quality_N, pairs_P2)
    return discard_curve(trial.genuine.scores_P, quality_P, trial.threshold)


def _shuffled_areas(
    trial: Trial, quality_N: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.float64]:
    return np.array(
        [
            _curve(trial, random.permutation(quality_N)).area(LIMIT).normalised
            for _ in range(_SHUFFLES)
        ]
    )


def _record(name: str, curve: DiscardCurve, chance_low: float) -> schema.DiscardCurve:
    area = curve.area(LIMIT).normalised
    fractions = np.linspace(0, LIMIT, _DRAWN)
    return schema.DiscardCurve(
        measure=name,
        area=area,
        beats_chance=area < chance_low,
        points=[
            schema.DiscardPoint(discarded=float(fraction), fnmr=curve.at(fraction))
            for fraction in fractions
        ],
    )
