"""The random transformation of one training image, a pure function of (seed, epoch, index)."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from models.data.decode import Pixels
from models.data.degrade import DEGRADATIONS, degrade


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """What may happen to an image, in this order.

    flip: mirror half of the images.
    jitter: share of the side by which the crop may shift (each axis) and grow or shrink; the
        rotation reaches 60° × jitter.
    probability: share of the images whose quality is lowered; severity: the greatest strength in
        [0, 1]; kinds: which degradations (all when empty). A third of the lowered images get two.
    """

    flip: bool = True
    jitter: float = 0.0
    probability: float = 0.0
    severity: float = 1.0
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.kinds) - set(DEGRADATIONS)
        if unknown:
            raise ValueError(f"unknown degradations {sorted(unknown)}; known: {[*DEGRADATIONS]}")
        if not (0.0 <= self.probability <= 1.0 and 0.0 <= self.severity <= 1.0):
            raise ValueError("augmentation probability and severity lie in [0, 1]")


def augment(image: Pixels, augmentation: Augmentation, rng: Generator) -> Pixels:
    """One random version of an RGB uint8 (H, W, 3) image."""
    if augmentation.flip and rng.random() < 0.5:
        image = image[:, ::-1]
    if augmentation.jitter > 0.0:
        image = _jitter(image, augmentation.jitter, rng)
    if rng.random() < augmentation.probability:
        image = _lower_quality(np.ascontiguousarray(image), augmentation, rng)
    return image


def image_rng(seed: int, epoch: int, index: int) -> Generator:
    """The generator of one image in one epoch: the same whichever worker or rank draws from it."""
    return np.random.default_rng((seed, epoch, index))


def _lower_quality(image: Pixels, augmentation: Augmentation, rng: Generator) -> Pixels:
    kinds = augmentation.kinds or tuple(DEGRADATIONS)
    count = min(len(kinds), 2 if rng.random() < 1 / 3 else 1)
    for kind in rng.permutation(len(kinds))[:count]:
        image = degrade(image, kinds[kind], rng.uniform(0.0, augmentation.severity), rng)
    return image


def _jitter(image: Pixels, jitter: float, rng: Generator) -> Pixels:
    height, width = image.shape[:2]
    shift_x, shift_y, grow, turn = rng.uniform(-jitter, jitter, 4)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 60.0 * turn, 1.0 + grow)
    matrix[:, 2] += shift_x * width, shift_y * height
    moved = cv2.warpAffine(
        np.ascontiguousarray(image),
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, dtype=np.uint8)
