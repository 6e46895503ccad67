"""Does the exported file compute what the trained network computes?

Shapes: N images, D feature dimensions.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from export.contract import normalise, norms
from export.embed import TRAINED_INPUT, Crops, Embedder, Features
from export.errors import ParityError

BATCHES = (1, 2, 7)
"""One image, the example's two, and a number that nothing inside divides by."""

MIN_COSINE = 0.99999
MAX_NORM_ERROR = 1e-4
TIE = 1e-4
"""Norms closer than this, relatively, have no order."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How near the file is to the network, over `images` images in batches of `batches`.

    `max_difference` is relative to the largest value of a feature, `max_norm_error` to the norm.
    `same_order`: the norms, so the qualities, rank the images alike.
    """

    images: int
    batches: tuple[int, ...]
    max_difference: float
    min_cosine: float
    max_norm_error: float
    same_order: bool


def measure(backbone: nn.Module, model: bytes, crops_NHWC: Crops) -> Parity:
    """Compare a network in fp32 with its file on the first images, in each of `BATCHES`."""
    embedder = Embedder(model)
    tensor_NCHW = TRAINED_INPUT(crops_NHWC[: max(BATCHES)])
    expected_ND = _features(backbone, torch.from_numpy(tensor_NCHW))
    found = [embedder.tensor(tensor_NCHW[:size]) for size in BATCHES]
    return _compare(np.concatenate([expected_ND[:size] for size in BATCHES]), np.concatenate(found))


def require(parity: Parity) -> Parity:
    """The same parity; raises ParityError where the file is not the network."""
    if not (parity.min_cosine >= MIN_COSINE and parity.max_norm_error <= MAX_NORM_ERROR):
        raise ParityError(
            f"the exported file differs from the network: lowest cosine {parity.min_cosine:.6f}, "
            f"largest norm error {parity.max_norm_error:.2g}"
        )
    if not parity.same_order:
        raise ParityError("the exported file ranks the images' norms in another order")
    return parity


def require_raw(features_ND: Features) -> None:
    """Raise ParityError where all norms are equal: a normalised feature has lost its quality."""
    lengths_N = norms(features_ND)
    if np.ptp(lengths_N) <= TIE * lengths_N.max():
        raise ParityError("all features have one norm: the network normalises, quality is lost")


def _features(backbone: nn.Module, tensor: torch.Tensor) -> Features:
    was_training = backbone.training
    with torch.no_grad():
        features: Features = backbone.eval()(tensor).numpy()
    backbone.train(was_training)
    return features


def _compare(expected_ND: Features, found_ND: Features) -> Parity:
    cosines = (normalise(expected_ND) * normalise(found_ND)).sum(axis=1)
    expected_N, found_N = norms(expected_ND), norms(found_ND)
    return Parity(
        images=max(BATCHES),
        batches=BATCHES,
        max_difference=float(np.abs(expected_ND - found_ND).max() / np.abs(expected_ND).max()),
        min_cosine=float(cosines.min()),
        max_norm_error=float(np.abs(found_N / expected_N - 1).max()),
        same_order=_same_order(expected_N, found_N),
    )


def _same_order(expected_N: Features, found_N: Features) -> bool:
    ordered = found_N[np.argsort(expected_N, kind="stable")]
    return bool((ordered[1:] >= ordered[:-1] * (1 - TIE)).all())
