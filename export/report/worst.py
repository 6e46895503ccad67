"""Thumbnails of the pairs that were judged most wrongly."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from export.calibrate.comparisons import Batch
from export.calibrate.subjects import Tail

_SIDE = 160


@dataclass(frozen=True, slots=True)
class WorstPair:
    """Two photos as data URLs, with their similarity and whether they show one person."""

    left: str = field(repr=False)
    right: str = field(repr=False)
    similarity: float
    same: bool


def worst_pairs(
    tail: Tail, genuine: Batch, names: Sequence[str], root: Path, count: int
) -> list[WorstPair]:
    """The `count` highest impostor and lowest genuine comparisons, with the photos below `root`."""
    lowest = np.argsort(genuine.scores_P, kind="stable")[:count]
    picked = [
        (tail.left_K[row], tail.right_K[row], tail.scores_K[row], False)
        for row in range(min(count, len(tail.scores_K)))
    ] + [(genuine.left_P[row], genuine.right_P[row], genuine.scores_P[row], True) for row in lowest]
    return [
        WorstPair(thumbnail(root / names[left]), thumbnail(root / names[right]), float(score), same)
        for left, right, score, same in picked
    ]


def thumbnail(photo: Path) -> str:
    """A small upright JPEG of a photo as a data URL."""
    with PIL.Image.open(photo) as opened:
        upright = PIL.ImageOps.exif_transpose(opened).convert("RGB")
        small = PIL.ImageOps.fit(upright, (_SIDE, _SIDE))
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
