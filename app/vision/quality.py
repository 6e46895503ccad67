"""What makes a face too poor to decide on, with reasons.

The first measure is the raw feature's norm (MagFace, CVPR 2021), on the scale that the package's
quality curve gives it. Where a package has no curve, or its norm was shown to say nothing, what
can be measured on the picture itself is all there is.

Occlusion is not measured, because nothing simple that was tried on LFW photos held (700 of them,
occluded synthetically, thresholds at 1% false alarms on 500 others). Little detail at the mouth
finds 66% to 99% of flat masks, and 17% to 23% once the masks have pleats, as real ones do. Dark
eyes against the cheeks find 88% of black glasses, but among the clean photos they point at are
people with dark skin and people under a cap's shade. A detector's score falls under masks (about
70% found) and not under glasses (3%).
"""

from dataclasses import dataclass
from math import exp
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.domain import Embedding, Face, Image, Quality, Reason
from app.vision.measures import exposure, sharpness, turn, visible
from export.tables import QualityCurve

Stage = Literal["enrol", "query"]

MIN_VISIBLE = 0.8
"""Part of a face's oval that must lie inside the photo. For nine of ten LFW faces that were cut to
0.8 or more, SFace's feature keeps a cosine of 0.75 to the whole face's; under 0.7, of 0.36."""

MIN_SHARPNESS = 10.0
"""Variance of the Laplacian under which an aligned face is blurred: a Gaussian blur of σ = 3 at
112 pixels leaves 8 of a typical photo's 146. It and the next three are set where few of LFW's
photos fall."""
MIN_LIGHT = 60.0
"""A face whose 90th percentile of luma lies under this is dark all over."""
MAX_SHADE = 190.0
"""A face whose 10th percentile of luma lies over this is burnt out."""
MAX_TURN = 1.2
"""`measures.turn` beyond which one half of the face is hidden."""


@dataclass(frozen=True, slots=True)
class QualityJudge:
    """Judges faces for one recogniser. `min_face` is a box's shorter side in pixels."""

    curve: QualityCurve | None
    min_face: float

    def __call__(
        self,
        image: Image,
        face: Face,
        crop: NDArray[np.uint8],
        embedding: Embedding,
        stage: Stage,
    ) -> Quality:
        """Norm, score (0–100, where there is a curve) and every reason that applies."""
        reasons = []
        if min(face.box.width, face.box.height) < self.min_face:
            reasons.append(Reason.FACE_TOO_SMALL)
        if visible(face.landmarks, image.width, image.height) < MIN_VISIBLE:
            reasons.append(Reason.FACE_CLIPPED)
        if self._under_gate(embedding.norm, stage):
            reasons.append(Reason.LOW_QUALITY)
        reasons += picture_reasons(crop, face)
        return Quality(embedding.norm, self.score(embedding.norm), self.basis, tuple(reasons))

    @property
    def basis(self) -> Literal["norm", "none"]:
        return self.curve.basis if self.curve else "none"

    def score(self, norm: float) -> float | None:
        """The norm on OFIQ's 0–100 scale, or None where the package has no curve."""
        if self.curve is None or self.curve.basis == "none":
            return None
        distance = (self.curve.centre - norm) / self.curve.width
        return 100 / (1 + exp(min(distance, 700)))

    def _under_gate(self, norm: float, stage: Stage) -> bool:
        if self.curve is None or self.curve.basis == "none":
            return False
        gates = self.curve.gates
        return norm < (gates.enrol if stage == "enrol" else gates.query)


def picture_reasons(crop: NDArray[np.uint8], face: Face) -> list[Reason]:
    """What the aligned uint8 RGB crop and the landmarks show."""
    low, high = exposure(crop)
    found = {
        Reason.BLURRED: sharpness(crop) < MIN_SHARPNESS,
        Reason.UNDER_EXPOSED: high < MIN_LIGHT,
        Reason.OVER_EXPOSED: low > MAX_SHADE,
        Reason.EXTREME_POSE: abs(turn(face.landmarks)) > MAX_TURN,
    }
    return [reason for reason, applies in found.items() if applies]
