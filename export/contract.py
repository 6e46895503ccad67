"""What training and serving must agree on: alignment, pixel arithmetic and the contract id.

Only numpy and the standard library are imported here, because every room imports this one.
Shapes: N images, H rows, W columns, D feature dimensions. Images are RGB unless a name says BGR.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ColourOrder = Literal["RGB", "BGR"]
LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
"""Order of the five points; left and right are the image's, not the person's."""


@dataclass(frozen=True, slots=True)
class AlignmentTemplate:
    """Where the five landmarks of `LANDMARKS` must land in a square crop.

    `points` are (x, y) pixel coordinates inside a crop of `size` × `size` pixels.
    """

    name: str
    size: int
    points: tuple[tuple[float, float], ...]

    def array(self) -> NDArray[np.float32]:
        """The points as float32, shape (5, 2)."""
        return np.asarray(self.points, dtype=np.float32)


ARCFACE_112 = AlignmentTemplate(
    name="arcface-112",
    size=112,
    # The five-point template that the ArcFace lineage aligns to (Deng et al., CVPR 2019).
    points=(
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ),
)
RETAIL_128 = AlignmentTemplate(
    name="retail-128",
    size=128,
    # OpenVINO's face-reidentification-retail-0095 documents these as fractions of the side.
    points=(
        (40.3928, 59.0815),
        (87.3757, 58.8588),
        (64.0336, 81.9847),
        (44.7324, 105.5606),
        (83.6399, 105.3761),
    ),
)
TEMPLATES = {template.name: template for template in (ARCFACE_112, RETAIL_128)}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How uint8 RGB pixels become the network's float32 input: (pixel − mean) / std.

    `mean` and `std` are per channel, in `colour_order`, on the 0–255 scale.
    """

    colour_order: ColourOrder
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 RGB images (N, H, W, 3) to contiguous float32 (N, 3, H, W)."""
        if self.colour_order == "BGR":
            images_NHWC = images_NHWC[..., ::-1]
        tensor_NCHW = np.ascontiguousarray(images_NHWC.transpose(0, 3, 1, 2), dtype=np.float32)
        if any(self.mean):
            tensor_NCHW -= np.asarray(self.mean, dtype=np.float32).reshape(3, 1, 1)
        if any(value != 1.0 for value in self.std):
            tensor_NCHW *= (1.0 / np.asarray(self.std, dtype=np.float32)).reshape(3, 1, 1)
        return tensor_NCHW


def contract_id(
    model_sha256: str, preprocessing: Preprocessing, template: AlignmentTemplate, dim: int
) -> str:
    """Name the feature space: features of different contract ids are never compared.

    A digest of everything that moves a feature: the recogniser file, the pixel arithmetic, the
    alignment template and the dimension. A change of one of them gives another id.
    """
    facts = {
        "model": model_sha256,
        "colour_order": preprocessing.colour_order,
        "mean": [float(value) for value in preprocessing.mean],
        "std": [float(value) for value in preprocessing.std],
        "template": [[float(x), float(y)] for x, y in template.points],
        "size": template.size,
        "dim": dim,
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "c1-" + hashlib.sha256(canonical.encode()).hexdigest()[:32]


def similarity_transform(
    landmarks_52: NDArray[np.float32], template: AlignmentTemplate
) -> NDArray[np.float64]:
    """Least-squares similarity (scale, rotation, shift; no mirroring) onto the template.

    Takes five (x, y) points and returns the 2×3 matrix that maps image to crop coordinates.
    The closed form of Umeyama (1991) in two dimensions: with centred points as complex numbers,
    scale and rotation are one complex division.
    Raises ValueError when the points coincide (no direction is defined then) or are not finite.
    """
    if not np.all(np.isfinite(landmarks_52)):
        raise ValueError("the five landmarks are not finite")
    source = landmarks_52[:, 0].astype(np.float64) + 1j * landmarks_52[:, 1].astype(np.float64)
    target_52 = template.array().astype(np.float64)
    target = target_52[:, 0] + 1j * target_52[:, 1]
    source_mean, target_mean = source.mean(), target.mean()
    centred = source - source_mean
    spread = float(np.vdot(centred, centred).real)
    if spread < 1e-6:
        raise ValueError("the five landmarks coincide")
    turn = complex(np.vdot(centred, target - target_mean)) / spread
    shift = target_mean - turn * source_mean
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def norms(features_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """L2 norm of each raw feature, in float32, shape (N,). The norm is the quality (MagFace)."""
    return np.asarray(np.linalg.norm(features_ND, axis=1), dtype=np.float32)


def normalise(features_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features scaled to unit length; cosine similarity is then a dot product."""
    lengths_N1 = np.maximum(norms(features_ND), 1e-12)[:, None]
    return np.asarray(features_ND / lengths_N1, dtype=np.float32)


def cosine(a_D: NDArray[np.float32], b_D: NDArray[np.float32]) -> float:
    """Cosine similarity of two raw features, in [−1, 1]."""
    unit_2D = normalise(np.stack([a_D, b_D]))
    return float(np.clip(np.dot(unit_2D[0], unit_2D[1]), -1.0, 1.0))
