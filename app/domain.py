"""What flows between the stages: bytes → Image → Face → Embedding → Decision.

All are frozen. Coordinates are pixels of the upright image (EXIF orientation applied) as the
caller sent it, even where a smaller version was decoded. Images are RGB.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ImageFormat = Literal["jpeg", "png", "webp"]


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded photo. `pixels` is uint8 RGB (H, W, 3), upright.

    `width` and `height` are the sent image's, upright; `scale` is decoded size over sent size,
    below 1 where a large JPEG was decoded smaller.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    format: ImageFormat
    width: int
    height: int
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Box:
    """A face's bounding box: left, top, right, bottom in pixels; may reach over the border."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face. `landmarks` is float32 (5, 2) in the order of `contract.LANDMARKS`."""

    box: Box
    score: float
    landmarks: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Embedding:
    """A raw feature (float32, (D,)), its L2 norm and the space it belongs to."""

    feature: NDArray[np.float32] = field(repr=False)
    norm: float
    contract_id: str


class FaceSelect(StrEnum):
    """Which face of an image is meant."""

    LARGEST = "largest"
    CENTER = "center"
    ONLY = "only"


class QualityPolicy(StrEnum):
    """What happens to a poor face: refuse it, answer and say so, or do not look."""

    REJECT = "reject"
    WARN = "warn"
    OFF = "off"


class Reason(StrEnum):
    """Why a face is poor."""

    FACE_TOO_SMALL = "face_too_small"
    FACE_CLIPPED = "face_clipped"
    LOW_QUALITY = "low_quality"
    EXTREME_POSE = "extreme_pose"
    BLURRED = "blurred"
    UNDER_EXPOSED = "under_exposed"
    OVER_EXPOSED = "over_exposed"


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a face is for recognition.

    `norm` is the raw feature's length; `score` maps it to 0–100 where the package has a curve,
    otherwise None. `basis` says what the score rests on.
    """

    norm: float
    score: float | None
    basis: Literal["norm", "none"]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """One image's chosen face, embedded and judged."""

    image: Image
    face: Face
    face_count: int
    embedding: Embedding
    quality: Quality
    timings: "Timings"


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds spent in each stage on one image."""

    decode: float = 0.0
    detect: float = 0.0
    align: float = 0.0
    embed: float = 0.0


class Verdict(StrEnum):
    """The answer to one comparison; `inconclusive` only where the policy has such a zone."""

    MATCH = "match"
    NO_MATCH = "no_match"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class VerifyThreshold:
    """A cosine threshold for one comparison (1:1), and where it came from.

    Its own type, so that a 1:1 threshold cannot serve 1:N by accident. Between `review` (the
    threshold of the looser `review_fmr`) and `value` lies the inconclusive zone, where asked for.
    """

    value: float
    source: Literal["calibration", "request"]
    fmr: float | None
    fmr_interval: tuple[float, float] | None
    data: str | None
    review: float | None = None
    review_fmr: float | None = None


@dataclass(frozen=True, slots=True)
class IdentifyThreshold:
    """A cosine threshold for one search among `faces` faces (1:N), and where it came from.

    It holds for a gallery of that size only: with twice the faces a stranger meets about twice as
    many false candidates. `fpir` is the rate that was asked for; `fmr` the calibrated rate of one
    one comparison behind it, None where the gallery's own strangers gave the threshold. Between
    `review` (the threshold of the looser `review_fpir`) and `value` lies the inconclusive zone.
    """

    value: float
    faces: int
    source: Literal["calibration", "gallery", "request"]
    fpir: float | None
    fpir_interval: tuple[float, float] | None
    fmr: float | None
    data: str | None
    review: float | None = None
    review_fpir: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one comparison.

    `score` is what was held against the threshold: the similarity, or its quality-aware form where
    the package was calibrated with that.
    """

    verdict: Verdict
    similarity: float
    score: float
    threshold: VerifyThreshold
    identical_image: bool

    @property
    def match(self) -> bool:
        return self.verdict is Verdict.MATCH
