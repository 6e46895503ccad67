"""What makes a face too poor to decide on, with reasons.

The first measure is the raw feature's norm (MagFace, CVPR 2021), on the scale that the package's
quality curve gives it. Where a package has no curve, only the geometry of the face is judged.
"""

from dataclasses import dataclass
from math import exp
from typing import Literal

from app.domain import Embedding, Face, Image, Quality, Reason
from export.manifest import QualityCurve

Stage = Literal["enrol", "query"]

MIN_VISIBLE = 0.8
"""Fraction of a face's box that must lie inside the image."""


@dataclass(frozen=True, slots=True)
class QualityJudge:
    """Judges faces for one recogniser. `min_face` is a box's shorter side in pixels."""

    curve: QualityCurve | None
    min_face: float

    def __call__(self, image: Image, face: Face, embedding: Embedding, stage: Stage) -> Quality:
        """Norm, score (0–100, where there is a curve) and every reason that applies."""
        reasons = []
        if min(face.box.width, face.box.height) < self.min_face:
            reasons.append(Reason.FACE_TOO_SMALL)
        if visible_fraction(face, image) < MIN_VISIBLE:
            reasons.append(Reason.FACE_CLIPPED)
        if self._under_gate(embedding.norm, stage):
            reasons.append(Reason.LOW_QUALITY)
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


def visible_fraction(face: Face, image: Image) -> float:
    """Part of the face's box that lies inside the image, in [0, 1]."""
    box = face.box
    width = min(box.right, image.width) - max(box.left, 0.0)
    height = min(box.bottom, image.height) - max(box.top, 0.0)
    return max(width, 0.0) * max(height, 0.0) / max(box.area, 1e-9)
