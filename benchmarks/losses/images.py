"""The study's images: identities to train on, others to measure on, small and held in memory.

Degradations act on the 112×112 crops, as they do for the trainer; the result is then shrunk.
Shapes: N images, V views of each (one per epoch, in turn), S side in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.augment import Augmentation, augment, image_rng
from models.data.decode import Pixels, decode_all
from models.data.degrade import DEGRADATIONS, degrade
from models.data.folder import open_tar_folder
from models.data.source import FaceSource, hold_out

SIDE = 48
VIEWS = 6
HELD_OUT = 0.5
PER_SUBJECT = 8
"""Images of each unseen subject that enter the comparisons."""

LADDER_IMAGES = 100
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
VARIED = Augmentation(flip=False, jitter=0.03, probability=0.5)
CLEAN = Augmentation(flip=False, jitter=0.03)
SPOILT = Augmentation(flip=False, probability=1.0)

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """`views` (N, V, S, S, 3) RGB uint8, `labels` (N,), of `classes` identities."""

    views: Pixels
    labels: Labels
    classes: int


@dataclass(frozen=True, slots=True)
class TestImages:
    """Subjects never seen in training.

    `clean` and `mixed` (N, S, S, 3) are the same photos, untouched, and with half of them
    degraded at random; `subject` (N,). `ladder` maps each degradation to (L, N', S, S, 3), the
    same N' photos at rising strengths from 0.
    """

    clean: Pixels
    mixed: Pixels
    subject: Labels
    ladder: dict[str, Pixels]


@dataclass(frozen=True, slots=True)
class StudyImages:
    varied: TrainingImages
    undegraded: TrainingImages
    test: TestImages


def load(assets: Path) -> StudyImages:
    """CelebA's 299 identities, split by the hash of their names."""
    seen, unseen = hold_out(open_tar_folder(assets / "train" / "celeba299_112.tar"), HELD_OUT)
    pixels = decode_all(seen)
    return StudyImages(
        training_images(pixels, seen, VARIED),
        training_images(pixels, seen, CLEAN),
        held_out_images(decode_all(unseen), unseen.labels),
    )


def training_images(pixels: Pixels, source: FaceSource, kind: Augmentation) -> TrainingImages:
    """V random views of every training crop."""
    views = np.empty((len(pixels), VIEWS, SIDE, SIDE, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        for view in range(VIEWS):
            views[index, view] = shrink(augment(image, kind, image_rng(0, view, index)))
    return TrainingImages(views, source.labels, len(source.classes))


def held_out_images(pixels: Pixels, labels: Labels) -> TestImages:
    rows = np.concatenate(
        [np.flatnonzero(labels == label)[:PER_SUBJECT] for label in np.unique(labels)]
    )
    chosen = pixels[rows]
    step = max(1, len(chosen) // LADDER_IMAGES)
    clean = np.stack([shrink(image) for image in chosen])
    return TestImages(clean, _mixed(chosen), labels[rows], ladder(chosen[::step][:LADDER_IMAGES]))


def _mixed(pixels: Pixels) -> Pixels:
    """Every second photo of a subject degraded, by a random kind and strength."""
    versions = []
    for index, image in enumerate(pixels):
        rng = image_rng(1, 0, index)
        versions.append(shrink(augment(image, SPOILT, rng) if index % 2 else image))
    return np.stack(versions)


def ladder(pixels: Pixels) -> dict[str, Pixels]:
    """The same draw (kind of blur, place of the occluder, grain) at every strength of an image."""
    return {name: np.stack([*_steps(pixels, name)]) for name in DEGRADATIONS}


def _steps(pixels: Pixels, name: str) -> Iterator[Pixels]:
    for level in LEVELS:
        images = (
            degrade(image, name, level, image_rng(2, 0, index))
            for index, image in enumerate(pixels)
        )
        yield np.stack([shrink(image) for image in images])


def shrink(image: Pixels) -> Pixels:
    """Averaged down to S×S."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)
