"""The calibration record: operating points, curve, histogram and groups, from labelled features."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from export import tables as schema
from export.calibrate.comparisons import AllPairs, Comparisons
from export.calibrate.counts import ScoreCounts, count, require
from export.calibrate.groups import disparities, group_rates
from export.calibrate.labels import LabelledFeatures
from export.calibrate.subjects import SubjectCounts, Tail, by_subject
from export.calibrate.tail import Extrapolation, TailModel, extrapolate
from export.errors import UnsupportedRateError
from export.rates import supports, trials_needed

TARGETS = tuple(float(f"{digit}e-{power}") for power in range(1, 7) for digit in (5, 2, 1))[2:]
"""1e-1, 5e-2, 2e-2, 1e-2 … 1e-6: the false match rates of a table."""

INTERVAL = (
    "95%; Wilson's score interval at the effective number of comparisons, subjects as the "
    "independent units"
)
_CURVE_POINTS = 200
_BINS = 96


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a calibration.

    `targets` that the data cannot support are listed as such, or extrapolated where `tail` names
    a model; one that is `required` is an error instead.
    """

    data: str
    detector: str
    targets: tuple[float, ...] = TARGETS
    tail: TailModel | None = None
    required: tuple[float, ...] = ()
    scoring: schema.PairScoring | None = None
    """What turned similarities into the scores that are given, where they are quality-aware."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A calibration with what it was made from, for reports."""

    record: schema.Calibration
    counts: ScoreCounts
    tail: Tail


def calibrate(
    features: LabelledFeatures, plan: Plan, comparisons: Comparisons | None = None
) -> Measured:
    """Measure the table on all cross pairs, or on `comparisons` where a list is given.

    Raises CalibrationError without genuine or impostor comparisons, UnsupportedRateError where no
    target, or a required one not, is supported by at least 3/FMR impostor comparisons.
    """
    compared = (
        AllPairs(features.unit(), features.subjects_N) if comparisons is None else comparisons
    )
    counts = count(compared)
    if plan.tail is None:
        for target in plan.required:
            require(target, counts.impostor)
    supported = [fmr for fmr in plan.targets if supports(fmr, counts.impostor)]
    if not supported:
        require(max(plan.targets), counts.impostor)
    missing = [fmr for fmr in plan.targets if fmr not in supported]
    thresholds = [counts.threshold(fmr) for fmr in supported]
    subject_counts, tail = by_subject(compared, np.asarray(thresholds))
    points = [
        _measured_point(fmr, counts, subject_counts, column) for column, fmr in enumerate(supported)
    ]
    if plan.tail is not None:
        modelled = _believed(missing, tail, features.subjects_N, plan.tail)
        extra = _extrapolated(modelled, counts, compared, floor=points[-1].threshold)
        missing = missing[len(extra) :]
        points += extra
    groups = group_rates(features, compared, points)
    record = schema.Calibration(
        contract_id=features.contract_id,
        measured=datetime.now(UTC).replace(microsecond=0),
        data=_data(features, plan, counts, listed=comparisons is not None),
        interval=INTERVAL,
        points=points,
        unsupported=[schema.UnsupportedRate(fmr=fmr, needed=trials_needed(fmr)) for fmr in missing],
        equal_error_rate=counts.eer()[0],
        curve=_curve(counts),
        histogram=_histogram(counts),
        scoring=plan.scoring,
        groups=groups,
        disparities=disparities(groups),
    )
    return Measured(record, counts, tail)


def _measured_point(
    fmr: float, counts: ScoreCounts, by_subject: SubjectCounts, column: int
) -> schema.OperatingPoint:
    threshold = float(by_subject.thresholds_T[column])
    return schema.OperatingPoint(
        fmr=fmr,
        threshold=threshold,
        measured_fmr=counts.fmr(threshold),
        fmr_interval=by_subject.fmr_interval(column),
        fnmr=counts.fnmr(threshold),
        fnmr_interval=by_subject.fnmr_interval(column),
    )


def _believed(
    targets: Sequence[float], tail: Tail, subjects_N: NDArray[np.int32], model: TailModel
) -> list[tuple[float, Extrapolation]]:
    """Extrapolations from loose to strict, as far as the tail model is believed."""
    found: list[tuple[float, Extrapolation]] = []
    for fmr in targets:
        try:
            found.append((fmr, extrapolate(tail, subjects_N, fmr, model)))
        except UnsupportedRateError:
            break
    return found


def _extrapolated(
    modelled: Sequence[tuple[float, Extrapolation]],
    counts: ScoreCounts,
    compared: Comparisons,
    floor: float,
) -> list[schema.OperatingPoint]:
    if not modelled:
        return []
    wanted = np.array([extrapolation.threshold for _, extrapolation in modelled])
    thresholds = np.maximum.accumulate(np.maximum(wanted, floor))
    subject_counts, _ = by_subject(compared, thresholds)
    return [
        schema.OperatingPoint(
            fmr=fmr,
            threshold=float(thresholds[column]),
            measured_fmr=counts.fmr(thresholds[column]),
            fmr_interval=extrapolation.fmr_interval,
            fnmr=subject_counts.fnmr(column),
            fnmr_interval=subject_counts.fnmr_interval(column),
            support=extrapolation.model,
        )
        for column, (fmr, extrapolation) in enumerate(modelled)
    ]


def _data(
    features: LabelledFeatures, plan: Plan, counts: ScoreCounts, *, listed: bool
) -> schema.CalibrationData:
    attempts = features.attempts
    return schema.CalibrationData(
        name=plan.data,
        detector=plan.detector,
        subjects=features.subject_count,
        images=len(features),
        genuine=counts.genuine,
        impostor=counts.impostor,
        photos=attempts.photos,
        failures_to_decode=attempts.undecodable,
        failures_to_detect=attempts.undetected,
        failures_to_enrol=attempts.refused,
        comparisons="listed pairs" if listed else "all pairs",
    )


def _curve(counts: ScoreCounts) -> list[schema.CurvePoint]:
    """Thresholds spread evenly where the rates change: from FMR 0.5 up to no error at all."""
    low = counts.threshold_of_rank(counts.impostor // 2)
    high = counts.threshold_of_rank(0)
    return [
        schema.CurvePoint(
            threshold=float(threshold), fmr=counts.fmr(threshold), fnmr=counts.fnmr(threshold)
        )
        for threshold in np.linspace(low, high, _CURVE_POINTS)
    ]


def _histogram(counts: ScoreCounts) -> schema.ScoreHistogram:
    return schema.ScoreHistogram(
        low=-1.0,
        high=1.0,
        genuine=_binned(counts.genuine_above),
        impostor=_binned(counts.impostor_above),
    )


def _binned(above: NDArray[np.int64]) -> list[int]:
    """Counts in equal bins over [−1, 1]; scores of exactly 1 belong to the last."""
    edges = np.linspace(0, len(above) - 2, _BINS + 1).round().astype(np.intp)
    reached = above[edges]
    reached[-1] = 0
    return [int(value) for value in -np.diff(reached)]
