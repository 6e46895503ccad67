"""What one network is worth on subjects that its training never saw.

Shapes: P pairs, N images, L levels, R bootstrap replicates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.losses.images import LEVELS, Labels, TestImages
from models.data.decode import Pixels
from models.evaluate import (
    Comparisons,
    DiscardCurve,
    Resampling,
    auc,
    compare_pairs,
    error_versus_discard,
    pair_quality,
    tar_at_fmr,
)

FMR = 0.01
DISCARD = 0.3
DISCARD_FMRS = (0.01, 0.1)
"""At 1 % nets this weak reject most genuine pairs, and a curve near 1 has no room to fall."""

IMPOSTORS = 40_000
RESAMPLING = Resampling(replicates=200)
SHUFFLES = 100
Values = NDArray[np.floating]
Embed = Callable[[Pixels], Values]
Result = dict[str, object]


@dataclass(frozen=True, slots=True)
class Pairs:
    """All genuine pairs of the subjects and a fixed draw of impostor pairs; `rows` (P, 2)."""

    rows: Labels
    mated: NDArray[np.bool_]


def draw_pairs(subject_N: Labels, impostors: int = IMPOSTORS) -> Pairs:
    first, second = np.triu_indices(len(subject_N), k=1)
    mated = subject_N[first] == subject_N[second]
    others = np.flatnonzero(~mated)
    drawn = np.random.default_rng(0).choice(others, min(impostors, len(others)), replace=False)
    kept = np.concatenate([np.flatnonzero(mated), np.sort(drawn)])
    return Pairs(np.stack([first[kept], second[kept]], axis=1), mated[kept])


def measure(embed: Embed, images: TestImages, pairs: Pairs) -> Result:
    """Everything that the report says of one network, ready for JSON."""
    clean_ND, mixed_ND = embed(images.clean), embed(images.mixed)
    clean = compare_pairs(clean_ND, pairs.rows, pairs.mated, images.subject)
    mixed = compare_pairs(mixed_ND, pairs.rows, pairs.mated, images.subject)
    return {
        "clean": verification(clean),
        "mixed": verification(mixed),
        "discard_clean": discards(clean, lengths(clean_ND), pairs),
        "discard_mixed": discards(mixed, lengths(mixed_ND), pairs),
        "ladder": {name: rung(embed, steps) for name, steps in images.ladder.items()},
        "norm": {"mean": float(lengths(clean_ND).mean()), "std": float(lengths(clean_ND).std())},
    }


def lengths(features_ND: Values) -> Values:
    return np.asarray(np.linalg.norm(features_ND, axis=1))


def verification(comparisons: Comparisons) -> Result:
    """AUC with its replicates (the same draws of subjects for every network), TAR at the FMR."""
    point = tar_at_fmr(comparisons, FMR, RESAMPLING).true_positive
    return {
        "auc": auc(comparisons.genuine, comparisons.impostor),
        "auc_replicates": [round(value, 5) for value in auc_replicates(comparisons)],
        "tar": [point.value, point.low, point.high],
    }


def auc_replicates(comparisons: Comparisons) -> list[float]:
    """AUC under redrawn subjects; a comparison weighs the product of its subjects' counts."""
    assert comparisons.subject is not None
    order = np.argsort(comparisons.similarity, kind="stable")
    subjects, flat = np.unique(comparisons.subject[order], return_inverse=True)
    side_P2, mated_P = flat.reshape(-1, 2), comparisons.mated[order]
    rng = np.random.default_rng(RESAMPLING.seed)
    values = []
    for _ in range(RESAMPLING.replicates):
        count_S = np.bincount(
            rng.integers(len(subjects), size=len(subjects)), minlength=len(subjects)
        )
        weight_P = count_S[side_P2[:, 0]] * np.where(mated_P, 1, count_S[side_P2[:, 1]])
        impostor_P = np.where(mated_P, 0, weight_P)
        genuine_P = np.where(mated_P, weight_P, 0)
        outscored = float(genuine_P @ np.cumsum(impostor_P))
        values.append(outscored / (float(genuine_P.sum()) * float(impostor_P.sum())))
    return values


def discards(comparisons: Comparisons, quality_N: Values, pairs: Pairs) -> Result:
    return {f"{fmr:g}": discard(comparisons, quality_N, pairs, fmr) for fmr in DISCARD_FMRS}


def discard(comparisons: Comparisons, quality_N: Values, pairs: Pairs, fmr: float) -> Result:
    """Normalised partial area of error versus discard (1: knows nothing), and that of chance."""

    def curve(quality_N: Values) -> DiscardCurve:
        quality_P = pair_quality(quality_N, pairs.rows)
        return error_versus_discard(comparisons, quality_P, fmr)

    rng = np.random.default_rng(0)
    shuffled = [curve(rng.permutation(quality_N)) for _ in range(SHUFFLES)]
    areas = [chance.area(DISCARD).normalised for chance in shuffled]
    real = curve(quality_N)
    return {
        "area": real.area(DISCARD).normalised,
        "shuffled": np.quantile(areas, [0.025, 0.975]).tolist(),
        "curve": [round(real.at(fraction), 4) for fraction in np.linspace(0.0, 0.5, 26)],
    }


def rung(embed: Embed, steps_LN: Pixels) -> Result:
    """How the norm follows one degradation."""
    norm_LN = np.stack([lengths(embed(images)) for images in steps_LN])
    worst, best = norm_LN[-1], norm_LN[0]
    return {
        "spearman": within_image(norm_LN),
        "clean_versus_worst": auc(best, worst),
        "means": norm_LN.mean(axis=1).round(3).tolist(),
    }


def within_image(norm_LN: Values, levels: tuple[float, ...] = LEVELS) -> float:
    """Spearman of norm and strength inside each image, averaged over images: −1 is perfect."""
    rank_LN = rankdata(norm_LN, axis=0) - (len(levels) + 1) / 2
    level_L = rankdata(levels) - (len(levels) + 1) / 2
    spread_N = np.sqrt((rank_LN**2).sum(axis=0) * (level_L**2).sum())
    return float((level_L @ rank_LN / np.maximum(spread_N, 1e-12)).mean())
