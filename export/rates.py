"""Arithmetic of error rates: intervals, the rule of three, and what 1:N makes of 1:1.

Standard library only, so that the service may use it as it is. Rates are fractions in [0, 1].
"""

import math
from typing import NamedTuple

Z95 = 1.959963984540054
"""Two-sided 95% quantile of the normal distribution."""
RULE_OF_THREE = 3.0
"""No error in n independent comparisons bounds the rate by 3/n at 95% (ISO/IEC 19795-1)."""


class Interval(NamedTuple):
    """A two-sided interval of a rate."""

    low: float
    high: float


def wilson(rate: float, trials: float, z: float = Z95) -> Interval:
    """Wilson's score interval of a rate seen in `trials` comparisons (Wilson, JASA 1927).

    `trials` may be fractional: the effective number where comparisons depend on one another.
    """
    centre = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = rate * (1 - rate) / trials + z * z / (4 * trials * trials)
    half = z * math.sqrt(spread) / (1 + z * z / trials)
    return Interval(min(max(0.0, centre - half), rate), max(min(1.0, centre + half), rate))


def trials_needed(rate: float) -> int:
    """The comparisons without which a rate cannot be claimed: 3 over the rate."""
    return math.ceil(RULE_OF_THREE / rate - 1e-9)


def supports(rate: float, trials: float) -> bool:
    """Whether `trials` comparisons suffice to speak of `rate` at all."""
    return rate * trials >= RULE_OF_THREE - 1e-9 * rate  # no quotient: rates come near to 0


def fpir_from_fmr(fmr: float, comparisons: int) -> float:
    """Chance that a stranger meets at least one false candidate in `comparisons`: 1 − (1 − FMR)^n.

    An upper bound where strangers differ in how often they match (some resemble everybody): the
    expression is concave in the FMR, so by Jensen's inequality the mean over strangers lies below
    its value at their mean FMR.
    """
    return -math.expm1(comparisons * math.log1p(-fmr))


def fmr_from_fpir(fpir: float, comparisons: int) -> float:
    """The per-comparison FMR that keeps a stranger's false candidates at `fpir`."""
    return -math.expm1(math.log1p(-fpir) / comparisons)


def aware_similarity(similarity: float, quality: float, slope: float, offset: float) -> float:
    """QMagFace's form: s + min(0, slope · s + offset) · q, with the pair's lower quality in [0, 1].

    Terhörst et al., WACV 2023: a low similarity between two good photos speaks louder than
    between poor ones.
    """
    return similarity + min(0.0, slope * similarity + offset) * quality
