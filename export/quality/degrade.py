"""Aligned crops made worse, to see whether a norm notices.

Degrading the crop, not the photo, leaves detection and alignment out of it: what is measured is
the recogniser alone.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Crops = NDArray[np.uint8]
KINDS = ("none", "blur", "shrink", "noise", "dark")
SHARES = (0.6, 0.1, 0.1, 0.1, 0.1)
"""How often each kind occurs: most photos of a real stream are fine."""


def degrade(crops_NHWC: Crops, seed: int) -> Crops:
    """Each uint8 RGB crop with one degradation of random kind and strength; most stay as they are.

    Blur σ 1–4 pixels; shrunk to 1/2–1/7 and enlarged again; Gaussian noise σ 10–60; brightness
    to 1/2–1/8.
    """
    random = np.random.default_rng(seed)
    kinds = random.choice(KINDS, size=len(crops_NHWC), p=SHARES)
    strengths = random.random(len(crops_NHWC))
    return np.stack(
        [
            _one(crop, str(kind), float(strength), random)
            for crop, kind, strength in zip(crops_NHWC, kinds, strengths, strict=True)
        ]
    )


def _one(crop: Crops, kind: str, strength: float, random: np.random.Generator) -> Crops:
    if kind == "blur":
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), 1 + 3 * strength), dtype=np.uint8)
    if kind == "shrink":
        return _shrink(crop, 2 + 5 * strength)
    if kind == "noise":
        noisy = crop + random.normal(0, 10 + 50 * strength, crop.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)
    if kind == "dark":
        return (crop / (2 + 6 * strength)).astype(np.uint8)
    return crop


def _shrink(crop: Crops, factor: float) -> Crops:
    side = crop.shape[0]
    small = max(4, round(side / factor))
    reduced = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(reduced, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, dtype=np.uint8)
