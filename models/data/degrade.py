"""Six ways a camera spoils a face, each from 0 (untouched) to 1 (hardly recognisable).

MagFace learns quality from what training shows it: trained on clean crops alone, its norm was
measured to order quality backwards. Images are RGB uint8 (H, W, 3); results are new arrays.
"""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator

from models.data.decode import Pixels, decode_rgb

Degradation = Callable[[Pixels, float, Generator], Pixels]


def blur(image: Pixels, strength: float, rng: Generator) -> Pixels:
    """Defocus (Gaussian, σ up to 4 pixels) or, as often, motion (up to 20 pixels, any way)."""
    if rng.random() < 0.5:
        return _uint8(cv2.GaussianBlur(image, (0, 0), 1e-3 + 4.0 * strength))
    return _uint8(cv2.filter2D(image, -1, _motion_kernel(20.0 * strength, rng.uniform(0, np.pi))))


def _motion_kernel(length: float, angle: float) -> np.ndarray:
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), dtype=np.float32)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    start, end = np.round(half - reach).astype(int), np.round(half + reach).astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0)
    return kernel / kernel.sum()


def downscale(image: Pixels, strength: float, rng: Generator) -> Pixels:
    """A face seen from afar: shrunk up to 8 times (to 14 pixels) and enlarged again."""
    height, width = image.shape[:2]
    factor = 1.0 + 7.0 * strength
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    enlarge = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return _uint8(cv2.resize(shrunk, (width, height), interpolation=enlarge))


def jpeg(image: Pixels, strength: float, rng: Generator) -> Pixels:
    """JPEG compression at quality 95 down to 3, geometrically: what hurts lies below 20."""
    del rng
    quality = round(95 * (3 / 95) ** strength)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return decode_rgb(encoded.tobytes())


def noise(image: Pixels, strength: float, rng: Generator) -> Pixels:
    """Sensor noise: Gaussian, independent per pixel and channel, σ up to 60 grey levels."""
    return _clipped(image + _grain(image.shape, 60.0 * strength, rng))


def occlude(image: Pixels, strength: float, rng: Generator) -> Pixels:
    """A rectangle of one colour over up to half of the crop."""
    height, width = image.shape[:2]
    area, aspect = 0.5 * strength, np.exp(rng.uniform(-0.7, 0.7))
    tall = min(height, round(height * np.sqrt(area * aspect)))
    wide = min(width, round(width * np.sqrt(area / aspect)))
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    result = image.copy()
    result[top : top + tall, left : left + wide] = rng.integers(0, 256, 3, dtype=np.uint8)
    return result


def low_light(image: Pixels, strength: float, rng: Generator) -> Pixels:
    """Under-exposure down to a tenth of the light, with the noise that comes of few photons."""
    exposed = image * np.float32(1.0 - 0.9 * strength)
    return _clipped(exposed + _grain(image.shape, 12.0 * strength, rng))


DEGRADATIONS: Final[dict[str, Degradation]] = {
    "blur": blur,
    "downscale": downscale,
    "jpeg": jpeg,
    "noise": noise,
    "occlude": occlude,
    "low_light": low_light,
}


def degrade(image: Pixels, name: str, strength: float, rng: Generator) -> Pixels:
    """Apply one degradation by name; strength 0 returns the image itself."""
    return image if strength == 0.0 else DEGRADATIONS[name](image, strength, rng)


def _grain(shape: tuple[int, ...], sigma: float, rng: Generator) -> np.ndarray:
    """Noise of that standard deviation: the sum of four bytes is as Gaussian as pixels can tell,
    at a third of the cost of exact normals, which would be the slowest step of all."""
    draws = np.frombuffer(rng.bytes(4 * int(np.prod(shape))), np.uint8).reshape(4, *shape)
    total = draws.sum(axis=0, dtype=np.uint16).astype(np.float32)
    return (total - np.float32(510.0)) * np.float32(sigma / 147.8)


def _clipped(values: np.ndarray) -> Pixels:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def _uint8(image: np.ndarray) -> Pixels:
    return np.asarray(image, dtype=np.uint8)
