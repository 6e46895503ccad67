"""Measures a packaged network on labelled crops, and states it as evidence.

Shapes: N crops, D feature dimensions, P pairs.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export import evidence
from export.contract import norms
from export.embed import Crops, Embed
from models.data.decode import decode_crop
from models.data.source import FaceSource
from models.data.verification import VerificationSet
from models.evaluate import (
    Comparisons,
    ErrorPoint,
    UnsupportedRateError,
    auc,
    compare_all,
    compare_pairs,
    equal_error_rate,
    error_versus_discard,
    fold_accuracy,
    pair_quality,
    tar_at_fmr,
)

FMRS = (1e-2, 1e-3, 1e-4, 1e-5)
DISCARD_FMRS = (1e-3, 1e-2)
DISCARD_LIMIT = 0.3
MAX_CROPS = 1500
"""More crops make pairs by the square; a million give FMR 1e-5 and minutes of resampling."""


@dataclass(frozen=True, slots=True)
class LabelledCrops:
    """Aligned crops, uint8 RGB (N, 112, 112, 3), and whose they are (N,). `name` says of what."""

    name: str
    pixels: Crops
    subjects: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figures:
    """1:1 figures, and the error-versus-discard of the norm where the data allow one."""

    verification: evidence.Verification
    discard: evidence.Discard | None


def labelled_crops(source: FaceSource, name: str, count: int = MAX_CROPS) -> LabelledCrops:
    """Whole identities of a source, drawn always alike, until there are `count` crops."""
    order = np.random.default_rng(0).permutation(len(source.classes))
    place_C = np.argsort(order)
    chosen = np.argsort(place_C[source.labels], kind="stable")[:count]
    pixels = np.stack([decode_crop(source.read(int(index))) for index in chosen])
    return LabelledCrops(name, pixels, source.labels[chosen])


def measure_crops(embed: Embed, crops: LabelledCrops) -> Figures:
    """Every crop against every other; intervals over subjects."""
    features_ND = embed(crops.pixels)
    comparisons = compare_all(features_ND, crops.subjects)
    pair_P2 = np.stack(np.triu_indices(len(features_ND), k=1), axis=1)
    quality_P = pair_quality(norms(features_ND), pair_P2)
    verification = _verification(comparisons, crops.name, len(features_ND))
    return Figures(verification, _discard(comparisons, quality_P, crops.name))


def measure_set(embed: Embed, pairs: VerificationSet, name: str) -> Figures:
    """A verification set of aligned crops by its own pairs and folds."""
    features_ND = embed(np.stack([decode_crop(image) for image in pairs.images]))
    pair_P2 = np.stack([pairs.left, pairs.right], axis=1)
    comparisons = compare_pairs(features_ND, pair_P2, pairs.same)
    quality_P = pair_quality(norms(features_ND), pair_P2)
    found = _verification(comparisons, name, len(features_ND))
    if len(np.unique(pairs.fold)) > 1:
        folds = fold_accuracy(comparisons, fold_P=pairs.fold)
        found = found.model_copy(update={"accuracy": folds.mean, "accuracy_std": folds.std})
    return Figures(found, _discard(comparisons, quality_P, name))


def _verification(comparisons: Comparisons, name: str, images: int) -> evidence.Verification:
    genuine, impostor = comparisons.genuine, comparisons.impostor
    known = comparisons.subject
    return evidence.Verification(
        data=name,
        images=images,
        genuine=len(genuine),
        impostor=len(impostor),
        subjects=None if known is None else len(np.unique(known)),
        auc=auc(genuine, impostor),
        eer=equal_error_rate(genuine, impostor),
        tar=[_point(point) for fmr in FMRS if (point := _supported(comparisons, fmr))],
        intervals_over="comparisons" if known is None else "subjects",
    )


def _supported(comparisons: Comparisons, fmr: float) -> ErrorPoint | None:
    try:
        return tar_at_fmr(comparisons, fmr)
    except UnsupportedRateError:
        return None


def _point(point: ErrorPoint) -> evidence.TarPoint:
    tar = point.true_positive
    interval = evidence.Interval(value=tar.value, low=tar.low, high=tar.high)
    return evidence.TarPoint(fmr=point.target, threshold=point.threshold, tar=interval)


def _discard(
    comparisons: Comparisons, quality_P: NDArray[np.floating], name: str
) -> evidence.Discard | None:
    """At the strictest FMR that the data support."""
    for fmr in DISCARD_FMRS:
        try:
            curve = error_versus_discard(comparisons, quality_P, fmr)
        except UnsupportedRateError:
            continue
        area = curve.area(DISCARD_LIMIT)
        return evidence.Discard(
            data=name,
            fmr=fmr,
            fnmr_start=float(curve.fnmr[0]),
            limit=area.limit,
            raw=area.raw,
            above_ideal=area.above_ideal,
            normalised=None if math.isnan(area.normalised) else area.normalised,
        )
    return None
