"""Does a threshold give the error rate it was asked for, on people it was not chosen on?

    python -m benchmarks obtained CALIBRATION.npz OTHERS.npz

Both files are what `norma calibrate … --save-features` keeps. Three questions: the FMR obtained on
the other people; the same between random halves of the calibration people, where capture is alike;
and a search's FPIR on strangers in galleries of growing size, beside a fixed cosine of 0.4.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from app import decision
from app.errors import NormaError
from app.rates.own import own_rates
from export.calibrate import labels
from export.calibrate.comparisons import AllPairs
from export.calibrate.labels import LabelledFeatures
from export.calibrate.subjects import by_subject
from export.calibrate.table import TARGETS as EVERY_TARGET
from export.calibrate.table import Plan, calibrate
from export.tables import Calibration

TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
SIZES = (10, 100, 1000)
HALVES = 20
PEERS_COSINE = 0.4
"""The default that the nearest peer searches with at any size."""

Row = dict[str, Any]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("benchmarks obtained")
    parser.add_argument("calibration", type=Path)
    parser.add_argument("others", type=Path)
    given = parser.parse_args(arguments)
    known, others = labels.load(given.calibration), labels.load(given.others)
    first, second = half(known, 0)
    print(
        json.dumps(
            {
                "other_people": list(obtained(known, others)),
                "halves": halves(known),
                "search": list(searches(first, second, others)),
            },
            indent=1,
        )
    )


def table(features: LabelledFeatures, targets: tuple[float, ...] = TARGETS) -> Calibration:
    return calibrate(features, Plan("benchmark", "any", targets)).record


def half(features: LabelledFeatures, seed: int) -> tuple[LabelledFeatures, LabelledFeatures]:
    """Two halves of the people."""
    order = np.random.default_rng(seed).permutation(features.subject_count)
    chosen = (order < features.subject_count // 2)[features.subjects_N]
    return features.take(np.flatnonzero(chosen)), features.take(np.flatnonzero(~chosen))


def obtained(known: LabelledFeatures, others: LabelledFeatures) -> Iterator[Row]:
    """Each rate of a table, and what its threshold gives on other people."""
    points = table(known).points
    thresholds = np.array([point.threshold for point in points])
    counts, _ = by_subject(AllPairs(others.unit(), others.subjects_N), thresholds)
    for column, point in enumerate(points):
        interval = counts.fmr_interval(column)
        yield {
            "asked": point.fmr,
            "threshold": round(point.threshold, 4),
            "obtained": counts.fmr(column),
            "interval": interval,
            "asked_inside": interval.low <= point.fmr <= interval.high,
            "fnmr": (point.fnmr, counts.fnmr(column)),
        }


def halves(features: LabelledFeatures) -> list[Row]:
    """The same between random halves: how often the asked rate lay inside the interval.

    About 83% is to be expected of exact 95% intervals, since the threshold comes from as few people
    as the judgement and its own uncertainty is not in the interval.
    """
    runs = [list(obtained(*half(features, seed))) for seed in range(HALVES)]
    return [
        {
            "asked": rows[0]["asked"],
            "inside": sum(row["asked_inside"] for row in rows),
            "of": len(rows),
            "ratio_5_50_95": np.quantile(
                [row["obtained"] / row["asked"] for row in rows], [0.05, 0.5, 0.95]
            ).tolist(),
        }
        for rows in zip(*runs, strict=True)
    ]


def searches(
    calibrated: LabelledFeatures, enrolled: LabelledFeatures, strangers: LabelledFeatures
) -> Iterator[Row]:
    """FPIR of strangers in random galleries of one photo a person."""
    record = table(calibrated, EVERY_TARGET)
    people = np.unique(enrolled.subjects_N, return_index=True)[1]
    faces, probes = enrolled.unit()[people], strangers.unit()
    for asked in (0.05, 0.01):
        for size in (size for size in SIZES if size <= len(faces)):
            found: dict[str, list[float]] = {"package": [], "own": [], "fixed": []}
            for seed in range(max(3, 200 // size)):
                gallery = faces[np.random.default_rng(seed).permutation(len(faces))[:size]]
                top = (probes @ gallery.T).max(axis=1)
                own = own_rates(gallery, np.arange(size))
                found["fixed"].append(float((top >= PEERS_COSINE).mean()))
                if own.supports(asked, size):
                    found["own"].append(float((top >= own.threshold(asked, size).value).mean()))
                try:
                    threshold = decision.identify_at(record, asked, size).value
                except NormaError:
                    continue
                found["package"].append(float((top >= threshold).mean()))
            means = {name: float(np.mean(rates)) for name, rates in found.items() if rates}
            yield {"asked_fpir": asked, "faces": size, **means}
