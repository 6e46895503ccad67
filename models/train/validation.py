"""What a run measures of itself at each checkpoint: held-out identities and verification sets."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from models.backbones import Backbone
from models.data.decode import Pixels, decode_all, decode_crop
from models.data.source import FaceSource, Subset
from models.data.verification import VerificationSet, open_bin
from models.evaluate import (
    Comparisons,
    auc,
    compare_all,
    compare_pairs,
    equal_error_rate,
    fold_accuracy,
)
from models.train.config import DataConfig
from models.train.embed import embed

Evaluation = Callable[[Backbone, int], Mapping[str, float]]
Measure = Callable[[Backbone], Mapping[str, float]]

# Two million comparisons: enough to follow a run, and a second's work.
MOST_IMAGES = 2000


def validation(data: DataConfig, held_out: FaceSource) -> Evaluation | None:
    """The measurements that a config asks for; None when it asks for none."""
    measures = [_of_set(Path(path)) for path in data.verification]
    if len(held_out.labels) > 0:
        measures.append(_of_identities(held_out))
    if not measures:
        return None

    def evaluate(backbone: Backbone, step: int) -> Mapping[str, float]:
        del step
        return {name: value for measure in measures for name, value in measure(backbone).items()}

    return evaluate


def _of_set(path: Path) -> Measure:
    pairs = open_bin(path)
    pixels = np.stack([decode_crop(image) for image in pairs.images])

    def measure(backbone: Backbone) -> Mapping[str, float]:
        comparisons = _compare(backbone, pairs, pixels)
        accuracy = fold_accuracy(comparisons, fold_P=pairs.fold).mean
        return {f"{path.stem}/accuracy": accuracy, **_rates(path.stem, comparisons)}

    return measure


def _compare(backbone: Backbone, pairs: VerificationSet, pixels: Pixels) -> Comparisons:
    features_ND = embed(backbone, pixels, flip=True)
    return compare_pairs(features_ND, np.stack([pairs.left, pairs.right], axis=1), pairs.same)


def _of_identities(held_out: FaceSource) -> Measure:
    chosen = np.unique(np.linspace(0, len(held_out.labels) - 1, MOST_IMAGES).astype(np.int64))
    some = Subset(held_out, held_out.labels[chosen], held_out.classes, chosen)
    pixels = decode_all(some)

    def measure(backbone: Backbone) -> Mapping[str, float]:
        return _rates("held_out", compare_all(embed(backbone, pixels), some.labels))

    return measure


def _rates(name: str, comparisons: Comparisons) -> dict[str, float]:
    genuine, impostor = comparisons.genuine, comparisons.impostor
    return {
        f"{name}/auc": auc(genuine, impostor),
        f"{name}/eer": equal_error_rate(genuine, impostor),
    }
