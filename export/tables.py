"""Schemas of what was measured on a package: calibration.json and quality.json."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from export.record import Record, Slug, Text

Rate = Annotated[float, Field(ge=0, le=1)]
Target = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
RateInterval = tuple[Rate, Rate]


class CalibrationData(Record):
    """On what a table was measured; ISO/IEC 19795-1 asks for subjects and comparisons.

    Failures are counted apart from the error rates: photos that could not be decoded, photos
    without a detected face, and faces that the enrolment gate refused.
    """

    name: Text
    subjects: Positive
    images: Positive
    genuine: Positive
    impostor: Positive
    failures_to_detect: Count
    detector: Text
    photos: Count = 0
    failures_to_decode: Count = 0
    failures_to_enrol: Count = 0
    comparisons: Literal["all pairs", "listed pairs"] = "all pairs"


class OperatingPoint(Record):
    """One row of the 1:1 table. Rates are fractions; intervals are two-sided.

    `support` is "measured", or the tail model by which the threshold was extrapolated; then
    `measured_fmr` and the FNMR are still what the data show at that threshold.
    """

    fmr: Target
    threshold: Annotated[float, Field(ge=-1, le=1)]
    measured_fmr: Rate
    fmr_interval: RateInterval
    fnmr: Rate
    fnmr_interval: RateInterval
    support: Literal["measured", "gpd", "exponential"] = "measured"


class UnsupportedRate(Record):
    """A rate that was left out, and the impostor comparisons it would have needed."""

    fmr: Target
    needed: Positive


class CurvePoint(Record):
    """FMR and FNMR at one threshold, for drawing."""

    threshold: float
    fmr: Rate
    fnmr: Rate


class ScoreHistogram(Record):
    """Scores counted in equal bins from `low` to `high`, for drawing."""

    low: float
    high: float
    genuine: Annotated[list[Count], Field(min_length=1, max_length=256)]
    impostor: Annotated[list[Count], Field(min_length=1, max_length=256)]


class GroupPoint(Record):
    """What one group meets at the whole population's threshold for `fmr`."""

    fmr: Target
    false_matches: Count
    measured_fmr: Rate
    fmr_interval: RateInterval
    fnmr: Rate | None
    fnmr_interval: RateInterval | None


class GroupRates(Record):
    """Comparisons within one group only: its own impostors are the hard ones (NIST FRTE)."""

    name: Text
    subjects: Count
    images: Count
    genuine: Count
    impostor: Count
    points: list[GroupPoint]


class Disparity(Record):
    """How far groups lie apart at one threshold; None where a group has no measured error.

    `fmr_ratio` is the worst group's FMR over the best's, `fmr_over_mean` the worst's over the
    geometric mean of all, `fnmr_ratio` the worst's FNMR over the best's.
    """

    fmr: Target
    fmr_ratio: float | None
    fmr_over_mean: float | None
    fnmr_ratio: float | None


class PairScoring(Record):
    """Quality-aware similarity by QMagFace's form, s + min(0, slope · s + offset) · min(q, q′).

    q is the 0–100 quality over 100. `fnmr_plain` and `fnmr_aware` were measured at `fmr` on
    subjects not used for the fit; it is `kept` only where they show a gain.
    """

    slope: float
    offset: float
    fmr: Target
    fnmr_plain: Rate
    fnmr_aware: Rate
    gain_interval: tuple[float, float]
    kept: bool


class Calibration(Record):
    """Thresholds for false match rates, measured for one contract id.

    `points` are on the cosine similarity, or, where `scoring` is set, on its quality-aware form;
    then `cosine_points` are on the cosine, which is what searches (1:N) go by.
    """

    schema_version: Literal[1] = 1
    contract_id: str
    measured: datetime
    data: CalibrationData
    interval: Text
    points: Annotated[list[OperatingPoint], Field(min_length=1, max_length=64)]
    cosine_points: Annotated[tuple[OperatingPoint, ...], Field(max_length=64)] = ()
    unsupported: tuple[UnsupportedRate, ...] = ()
    equal_error_rate: Rate | None = None
    curve: Annotated[tuple[CurvePoint, ...], Field(max_length=512)] = ()
    histogram: ScoreHistogram | None = None
    scoring: PairScoring | None = None
    groups: tuple[GroupRates, ...] = ()
    disparities: tuple[Disparity, ...] = ()

    @model_validator(mode="after")
    def _stricter_rates_have_higher_thresholds(self) -> Self:
        for points in (self.points, self.cosine_points):
            rates = [point.fmr for point in points]
            thresholds = [point.threshold for point in points]
            if rates != sorted(rates, reverse=True) or thresholds != sorted(thresholds):
                raise ValueError("points must go from loose to strict, thresholds ascending")
        return self

    @property
    def on_cosines(self) -> Sequence[OperatingPoint]:
        """The points that hold for plain cosines; none in a table of quality-aware scores that
        did not keep them."""
        return self.points if self.scoring is None else self.cosine_points


class QualityGates(Record):
    """Smallest norms that pass; enrolment is stricter than a query.

    The fractions say how many of the calibration photos each gate refuses.
    """

    enrol: Annotated[float, Field(ge=0)]
    query: Annotated[float, Field(ge=0)]
    enrol_fraction: Rate = 0.0
    query_fraction: Rate = 0.0

    @model_validator(mode="after")
    def _enrolment_is_stricter(self) -> Self:
        if self.query > self.enrol:
            raise ValueError("the query gate is stricter than the enrolment gate")
        return self


class DiscardPoint(Record):
    """FNMR of the genuine comparisons left after discarding this fraction, poorest first."""

    discarded: Rate
    fnmr: Rate


class DiscardCurve(Record):
    """Error versus discard by one measure of quality.

    `area` is the area under the curve up to the evidence's limit, over that of no improvement:
    about 1 for a measure that knows nothing, less where the error falls.
    """

    measure: Slug
    area: Annotated[float, Field(ge=0)]
    beats_chance: bool
    points: Annotated[list[DiscardPoint], Field(max_length=128)]


class DiscardEvidence(Record):
    """What discarding poor photos does to FNMR at a fixed threshold (ISO/IEC 29794-1).

    `chance` is the central 95% of the areas that shuffled qualities reach. "degraded" photos are
    the same photos blurred, shrunk, darkened or with noise, at random.
    """

    photos: Literal["as given", "degraded"]
    fmr: Target
    threshold: float
    genuine: Positive
    misses: Count
    limit: Target
    chance: tuple[float, float]
    curves: Annotated[list[DiscardCurve], Field(min_length=1, max_length=16)]


class QualityCurve(Record):
    """Norm to 0–100 by OFIQ's form, 100 / (1 + exp((centre − norm) / width)), with gates.

    `basis` is "none" where the norm was not shown to carry information about quality; `reason`
    says what the decision rests on. `scoring` is what a fit of
    quality-aware scoring came to.
    """

    schema_version: Literal[1] = 1
    contract_id: str
    basis: Literal["norm", "none"]
    centre: float
    width: Annotated[float, Field(gt=0)]
    gates: QualityGates
    data: Text
    images: Annotated[int, Field(ge=1)]
    reason: Text | None = None
    evidence: tuple[DiscardEvidence, ...] = ()
    scoring: PairScoring | None = None
