"""The similarity from which a search's best subject counts as found, in error rates.

Each comparison with a stranger may match by chance, so at the same threshold a larger gallery
gives more false candidates: FPIR = 1 − (1 − FMR)^N for N faces compared independently (ISO/IEC
19795-1). The 1:N threshold therefore moves with the gallery's size.
"""

import math
from dataclasses import dataclass
from typing import Literal

from app import decision
from export.manifest import Calibration


@dataclass(frozen=True, slots=True)
class IdentifyThreshold:
    """A cosine threshold for 1:N. Its own type, so that a 1:1 threshold cannot serve here."""

    value: float
    source: Literal["calibration", "request"]
    fpir: float | None
    fmr: float | None
    """The rate of one comparison that `fpir` comes to at this size."""


def at_rate(calibration: Calibration | None, fpir: float, faces: int) -> IdentifyThreshold:
    """For a gallery of `faces`. Raises CalibrationMissingError, and RateUnsupportedError where
    the calibration data cannot support so strict a rate."""
    fmr = -math.expm1(math.log1p(-fpir) / max(faces, 1))
    found = decision.threshold_at(calibration, fmr)
    return IdentifyThreshold(found.value, "calibration", fpir, fmr)


def given(cosine: float) -> IdentifyThreshold:
    """The caller's own; nothing is known of its error rates."""
    return IdentifyThreshold(cosine, "request", None, None)
