"""What each group of people meets at the whole population's thresholds."""

from collections.abc import Sequence

import numpy as np

from export import tables as schema
from export.calibrate.comparisons import Comparisons
from export.calibrate.labels import LabelledFeatures
from export.calibrate.subjects import SubjectCounts, by_subject
from export.rates import supports


def group_rates(
    features: LabelledFeatures,
    comparisons: Comparisons,
    points: Sequence[schema.OperatingPoint],
) -> list[schema.GroupRates]:
    """One table for each named group, measured on comparisons within it.

    A group's table ends where its own comparisons no longer support the rate (3/FMR).
    """
    if features.groups_N is None:
        return []
    thresholds = np.array([point.threshold for point in points])
    tables = []
    for name in sorted({str(name) for name in features.groups_N} - {""}):
        rows = np.flatnonzero(features.groups_N == name)
        counts, tail = by_subject(comparisons.within(rows), thresholds)
        tables.append(
            schema.GroupRates(
                name=name,
                subjects=len(np.unique(features.subjects_N[rows])),
                images=len(rows),
                genuine=int(counts.genuine_S.sum()),
                impostor=tail.total,
                points=[
                    _point(point.fmr, counts, column)
                    for column, point in enumerate(points)
                    if supports(point.fmr, tail.total)
                ],
            )
        )
    return tables


def _point(fmr: float, counts: SubjectCounts, column: int) -> schema.GroupPoint:
    genuine = int(counts.genuine_S.sum())
    return schema.GroupPoint(
        fmr=fmr,
        false_matches=int(counts.false_matches_ST[:, column].sum()) // 2,
        measured_fmr=counts.fmr(column),
        fmr_interval=counts.fmr_interval(column),
        fnmr=counts.fnmr(column) if genuine else None,
        fnmr_interval=counts.fnmr_interval(column) if genuine else None,
    )


def disparities(groups: Sequence[schema.GroupRates]) -> list[schema.Disparity]:
    """Worst over best group, for each rate that every group supports."""
    if len(groups) < 2:
        return []
    return [_disparity(points) for points in zip(*(group.points for group in groups), strict=False)]


def _disparity(points: Sequence[schema.GroupPoint]) -> schema.Disparity:
    rates = np.array([point.measured_fmr for point in points])
    misses = [point.fnmr for point in points]
    known = bool((rates > 0).all())
    mean = float(np.exp(np.log(rates).mean())) if known else 0.0
    return schema.Disparity(
        fmr=points[0].fmr,
        fmr_ratio=float(rates.max() / rates.min()) if known else None,
        fmr_over_mean=float(rates.max() / mean) if known else None,
        fnmr_ratio=_ratio([miss for miss in misses if miss is not None], len(points)),
    )


def _ratio(misses: Sequence[float], groups: int) -> float | None:
    return max(misses) / min(misses) if len(misses) == groups and min(misses) > 0 else None
