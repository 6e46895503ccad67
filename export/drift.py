"""How far a smaller file is from the fp32 one on real crops, and whether that may be shipped.

Shapes: N crops, D feature dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.contract import normalise, norms
from export.embed import Crops, Embed, Features
from export.errors import DriftError
from export.evidence import Precision
from models.evaluate import Comparisons, auc, compare_all


@dataclass(frozen=True, slots=True)
class Drift:
    """Differences over `crops` crops of `subjects` people.

    Norm errors are relative. `norm_rank_correlation` (Spearman): whether qualities keep their
    order. AUC and accuracy are of all pairs of the crops, genuine and impostor weighing alike;
    the threshold is the best for each file, so they say what is lost, not how good either is.
    """

    crops: int
    subjects: int
    cosine_mean: float
    cosine_min: float
    norm_error_mean: float
    norm_error_max: float
    norm_rank_correlation: float
    auc_before: float
    auc_after: float
    accuracy_before: float
    accuracy_after: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a file may lose. The cosine's floor counts for every crop."""

    cosine_mean: float
    cosine_min: float
    norm_error_max: float
    auc_drop: float
    accuracy_drop: float


BOUNDS: Mapping[Precision, Bounds] = {
    "fp16": Bounds(0.9999, 0.999, 0.01, 0.0005, 0.002),
    "int8": Bounds(0.99, 0.97, 0.05, 0.001, 0.005),
}


def measure(before: Embed, after: Embed, crops_NHWC: Crops, subject_N: NDArray[np.int64]) -> Drift:
    """Compare two files on labelled, aligned crops, uint8 RGB (N, H, W, 3).

    Raises ValueError where the crops hold no two of one person, or only one person.
    """
    before_ND, after_ND = before(crops_NHWC), after(crops_NHWC)
    if not np.isfinite(after_ND).all():
        raise DriftError("features are not finite: the network's values leave the range")
    if not norms(after_ND).all():
        raise DriftError("a feature is zero: the network's values are lost in rounding")
    cosine_N = (normalise(before_ND) * normalise(after_ND)).sum(axis=1)
    norm_error_N = np.abs(norms(after_ND) / norms(before_ND) - 1)
    pairs = [compare_all(features, subject_N) for features in (before_ND, after_ND)]
    auc_before, auc_after = (auc(pair.genuine, pair.impostor) for pair in pairs)
    accuracy_before, accuracy_after = (_balanced_accuracy(pair) for pair in pairs)
    return Drift(
        crops=len(crops_NHWC),
        subjects=len(np.unique(subject_N)),
        cosine_mean=float(cosine_N.mean()),
        cosine_min=float(cosine_N.min()),
        norm_error_mean=float(norm_error_N.mean()),
        norm_error_max=float(norm_error_N.max()),
        norm_rank_correlation=_rank_correlation(norms(before_ND), norms(after_ND)),
        auc_before=auc_before,
        auc_after=auc_after,
        accuracy_before=accuracy_before,
        accuracy_after=accuracy_after,
    )


def require(drift: Drift, bounds: Bounds) -> Drift:
    """The same drift; raises DriftError, naming every bound it is past."""
    auc_drop = drift.auc_before - drift.auc_after
    accuracy_drop = drift.accuracy_before - drift.accuracy_after
    checks = (
        ("mean cosine", drift.cosine_mean, ">=", bounds.cosine_mean),
        ("lowest cosine", drift.cosine_min, ">=", bounds.cosine_min),
        ("largest norm error", drift.norm_error_max, "<=", bounds.norm_error_max),
        ("AUC lost", auc_drop, "<=", bounds.auc_drop),
        ("accuracy lost", accuracy_drop, "<=", bounds.accuracy_drop),
    )
    past = [
        f"{name} {value:.5f}, {sign} {bound:g} is wanted"
        for name, value, sign, bound in checks
        if not (value >= bound if sign == ">=" else value <= bound)
    ]
    if past:
        raise DriftError("not written: " + "; ".join(past))
    return drift


def _balanced_accuracy(pairs: Comparisons) -> float:
    """The best mean of TAR and 1 − FMR over all thresholds (each kind of pair weighs a half)."""
    genuine, impostor = np.sort(pairs.genuine), np.sort(pairs.impostor)
    threshold_T = np.append(genuine, np.inf)
    tar_T = 1 - np.searchsorted(genuine, threshold_T, side="left") / len(genuine)
    tnr_T = np.searchsorted(impostor, threshold_T, side="left") / len(impostor)
    return float(((tar_T + tnr_T) / 2).max())


def _rank_correlation(a_N: Features, b_N: Features) -> float:
    """Spearman's ρ; norms hardly tie, so ties are not averaged."""
    a_ranks, b_ranks = (np.argsort(np.argsort(values, kind="stable")) for values in (a_N, b_N))
    return float(np.corrcoef(a_ranks, b_ranks)[0, 1])
