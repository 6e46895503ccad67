"""Finding faces: letterbox, run the network, decode, suppress doubles.

Two passes over every photo: the main one, and one at a small scale that brings a close-up down to
the size the network knows. The second is not saved where the first finds someone: in a selfie that
may be a bystander, and then the wrong person would be verified.
"""

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Box, Face, Image
from app.errors import InferenceInvalidError
from app.inference.gathering import Split, rows
from app.inference.session import Network
from app.vision.candidates import Array, Candidates, Decoder, iou, join, suppress
from app.vision.detectors import scrfd, yunet
from app.vision.tensor import to_tensor
from export.manifest import DetectorManifest

CANVAS_RATIOS = (0.5, 0.625, 0.75, 1.0)
"""Shorter over longer side of the canvases photos are padded to: few shapes, little padding."""

CLOSE_UP_SIDE = 192
"""Longer side of the second pass, in pixels.

Measured on 36 to 80 portraits cropped until the face spanned 0.5 to 1.6 of the frame: at 640 pixels
SCRFD finds no face from 0.9 on; at 192 SCRFD-2.5G, SCRFD-500M and YuNet found every one. At 256
SCRFD-2.5G loses a third at 1.6, at 128 landmarks are coarser.
"""

CLOSE_UP_SPAN = 0.6
"""A face's longer side over the photo's, from which on the second pass is believed where the main
one saw nothing. Smaller ones are doubtful: the main pass has more pixels of them.

Measured on 40 selfies with someone in the background, the close-up spanning 0.8 to 1.1: SCRFD's
main pass finds the bystander and never the close-up, both passes find it every time.
"""

OVERSIZED = 1.0
"""From this span on the second pass's landmarks are the better ones (YuNet at 1.3: 94% within a
tenth of the eyes' distance against 67%); below, the main pass's."""

QUICK_SIDE = 320
"""Longer side of the pass that a quick look for the largest face begins with, in pixels."""

QUICK_FACE = 40
"""Longer side, in that pass's pixels, from which on its largest face is taken for the photo's.

Both detectors find faces of a third of that, so what it misses is smaller. Measured on 1,600
collages of LFW photos, faces of 20 to 250 pixels alone and among six others: the same largest face
as the thorough look in all but 2, no face missed besides those that it misses.
"""

FAMILIES: dict[str, Decoder] = {"scrfd": scrfd.decode, "yunet": yunet.decode}

BFLOAT16_FAMILIES = frozenset({"scrfd"})
"""Detectors that bfloat16 leaves as they are; the others run in float32 whatever was asked for.

Measured on 1,549 LFW photos at 640 pixels: landmarks move by at most 0.5% of the eyes' distance in
99 of 100 with SCRFD-2.5G, and by up to 10% with YuNet, which gains less besides.
"""

SPLITS: dict[str, Split] = {"scrfd": scrfd.split, "yunet": rows}
"""How a batch's outputs fall apart into each image's."""


class Detector(Protocol):
    """Anything that finds faces with five landmarks."""

    @property
    def provider(self) -> str: ...

    @property
    def well(self) -> bool:
        """False while its network fails again and again."""
        ...

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Faces of each image, best score first, in pixels of the images as they were sent."""
        ...

    def detect_largest(self, image: Image) -> list[Face]:
        """Faces of one image in the same order, the largest surely among them; quicker."""
        ...

    def close(self) -> None:
        """End its network's threads, where it has any."""
        ...


class OnnxDetector:
    """A detector of one of the `FAMILIES` from a model package."""

    def __init__(self, session: Network, manifest: DetectorManifest) -> None:
        self._session = session
        self._manifest = manifest
        self._decode = FAMILIES[manifest.family]
        self._preprocess = manifest.input.preprocessing()

    @property
    def provider(self) -> str:
        return self._session.provider

    @property
    def well(self) -> bool:
        return self._session.well

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Faces of each image, best score first, in pixels of the images as they were sent.

        Raises InferenceInvalidError for boxes or landmarks that are not finite.
        """
        main = self._pass(images, [self._main_side(image) for image in images])
        close_ups = self._pass(images, [CLOSE_UP_SIDE] * len(images))
        overlap = self._manifest.nms_threshold
        return [
            _faces(_merge(large, small, _longest(image), overlap), image.scale)
            for large, small, image in zip(main, close_ups, images, strict=True)
        ]

    def detect_largest(self, image: Image) -> list[Face]:
        """Faces of one image in the same order, the largest surely among them.

        A small pass finds a large face at a quarter of the main pass's cost, and the main pass is
        saved. Small faces beside it may be missing.
        """
        if self._main_side(image) <= QUICK_SIDE:
            return self.detect([image])[0]
        [close_up] = self._pass([image], [CLOSE_UP_SIDE])
        [quick] = self._pass([image], [QUICK_SIDE])
        longest, overlap = _longest(image), self._manifest.nms_threshold
        found = _merge(quick, close_up, longest, overlap)
        if _spans(found).max(initial=0) * QUICK_SIDE < QUICK_FACE * longest:
            [main] = self._pass([image], [self._main_side(image)])
            found = _merge(main, close_up, longest, overlap)
        return _faces(found, image.scale)

    def close(self) -> None:
        self._session.close()

    def _main_side(self, image: Image) -> int:
        sizes = self._manifest.input_sizes
        return next((size for size in sizes if size >= _longest(image)), sizes[-1])

    def _pass(self, images: Sequence[Image], sides: Sequence[int]) -> list[Candidates]:
        """Candidates of each image in its decoded pixels; images of one canvas share a batch."""
        results: dict[int, Candidates] = {}
        fitted = [letterbox(image.pixels, side) for image, side in zip(images, sides, strict=True)]
        for group in _same_canvas([canvas for canvas, _ in fitted], self._session.batchable):
            tensor = to_tensor([fitted[n][0] for n in group], self._preprocess)
            outputs = self._session.run(tensor)
            height, width = tensor.shape[2:]
            decoded = self._decode(
                outputs, len(group), (height, width), self._manifest.score_threshold
            )
            for n, part in zip(group, decoded, strict=True):
                _check_finite(part)
                kept = suppress(part, self._manifest.nms_threshold)
                results[n] = kept.scaled(1 / fitted[n][1])
        return [results[n] for n in range(len(images))]


def _check_finite(part: Candidates) -> None:
    if not (np.isfinite(part.boxes).all() and np.isfinite(part.landmarks).all()):
        raise InferenceInvalidError("the detector gave a face that is not finite")


def letterbox(pixels: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """The image scaled so that its longer side is `side`, on the smallest canvas that holds it.

    Returns the canvas (uint8 RGB, sides multiples of 32, image at top left, the rest black) and
    the scale, canvas pixels over image pixels.
    """
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    inner = (max(1, int(height * scale + 1e-6)), max(1, int(width * scale + 1e-6)))
    shorter = next(
        length for ratio in CANVAS_RATIOS if (length := _multiple_of_32(side * ratio)) >= min(inner)
    )
    canvas_shape = (side, shorter) if height >= width else (shorter, side)
    fitted = pixels if inner == (height, width) else cv2.resize(pixels, inner[::-1])
    canvas = fitted if inner == canvas_shape else _padded(fitted, canvas_shape)
    return canvas, inner[0] / height if height >= width else inner[1] / width


def _padded(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    canvas = np.zeros((*shape, 3), dtype=np.uint8)
    canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
    return canvas


def _longest(image: Image) -> int:
    return int(max(image.pixels.shape[:2]))


def _multiple_of_32(length: float) -> int:
    return int(np.ceil(length / 32)) * 32


def _same_canvas(canvases: Sequence[NDArray[np.uint8]], batchable: bool) -> list[list[int]]:
    if not batchable:
        return [[n] for n in range(len(canvases))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for n, canvas in enumerate(canvases):
        groups.setdefault(canvas.shape, []).append(n)
    return list(groups.values())


def _spans(found: Candidates) -> Array:
    """Longer side of each box."""
    return np.asarray((found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1, initial=0))


def _merge(main: Candidates, close_up: Candidates, longest: int, overlap: float) -> Candidates:
    """The main pass's faces and the close-ups that it missed; alone, whatever either pass found.

    Where both saw the same one: the close-up's if it is larger than the frame, else the main
    pass's, whose landmarks are finer then.
    """
    if len(main.scores) == 0:
        return close_up
    close_up = close_up.take(np.flatnonzero(_spans(close_up) > CLOSE_UP_SPAN * longest))
    oversized = _spans(close_up) >= OVERSIZED * longest
    same = iou(close_up.boxes, main.boxes) > overlap
    kept = close_up.take(np.flatnonzero(oversized | ~same.any(axis=1)))
    rest = main.take(np.flatnonzero(~same[oversized].any(axis=0)))
    together = join([rest, kept])
    return together.take(np.argsort(-together.scores, kind="stable"))


def _faces(candidates: Candidates, scale: float) -> list[Face]:
    sent = candidates.scaled(1 / scale)
    return [
        Face(Box(*map(float, box)), float(score), landmarks)
        for score, box, landmarks in zip(sent.scores, sent.boxes, sent.landmarks, strict=True)
    ]
