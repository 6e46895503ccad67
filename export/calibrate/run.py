"""One calibration from labelled features to a package's records and its report."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export import card, package, tables
from export import manifest as schema
from export.calibrate.comparisons import AllPairs, Comparisons, ListedPairs, genuine_pairs
from export.calibrate.labels import LabelledFeatures
from export.calibrate.photos import Extraction
from export.calibrate.table import Measured, Plan, calibrate
from export.errors import CalibrationError
from export.package import Package
from export.quality.curve import Curve
from export.quality.record import QualityPlan, operating_point, quality_record
from export.quality.scoring import AwarePairs, fit_scoring
from export.report.page import Content
from export.report.worst import WorstPair, worst_pairs

Names = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a calibration came to, and the features it rests on (after a gate, if one was used)."""

    measured: Measured
    quality: tables.QualityCurve
    features: LabelledFeatures
    compared: Comparisons

    def content(self, name: str, worst: list[WorstPair]) -> Content:
        """The report of it."""
        return Content(name, self.measured.record, self.quality, worst)

    def worst(self, root: Path, count: int) -> list[WorstPair]:
        """Its most wrongly judged pairs, with photos from below `root`."""
        genuine = genuine_pairs(self.compared)
        return worst_pairs(self.measured.tail, genuine, self.features.names, root, count)


def comparisons(features: LabelledFeatures, pairs: Names | None) -> Comparisons:
    """All pairs of photos, or the listed ones as far as both photos gave a face."""
    unit_ND = features.unit()
    if pairs is None:
        return AllPairs(unit_ND, features.subjects_N)
    rows = {name: row for row, name in enumerate(features.names)}
    found = [(rows[a], rows[b]) for a, b in pairs if a in rows and b in rows]
    if not found:
        raise CalibrationError("no listed pair has a face in both photos")
    left, right = np.asarray(found, dtype=np.intp).T
    return ListedPairs(unit_ND, features.subjects_N, left, right)


def run(
    extraction: Extraction,
    plan: Plan,
    quality_plan: QualityPlan,
    pairs: Names | None = None,
    *,
    gated: bool = False,
    aware: bool = False,
) -> Outcome:
    """Table, quality record and scoring.

    With `gated`, photos under the enrolment gate count as failures to enrol, and the table is
    measured on the others: what a service that refuses them will meet. With `aware`, the table is
    measured on quality-aware similarities, where held-out people showed that they help.
    """
    features = extraction.features
    compared = comparisons(features, pairs)
    measured = calibrate(features, plan, compared)
    quality = quality_record(features, measured.record, quality_plan, extraction.degraded)
    quality = quality.model_copy(update={"scoring": _scoring(features, measured.record, quality)})
    if gated and quality.basis == "norm":
        features = _enrolled(features, quality.gates.enrol)
        compared = comparisons(features, pairs)
        measured = calibrate(features, plan, compared)
    if aware and quality.scoring is not None and quality.scoring.kept:
        on_cosines = measured.record.points
        compared = _aware(compared, features, quality, quality.scoring)
        measured = calibrate(features, replace(plan, scoring=quality.scoring), compared)
        record = measured.record.model_copy(update={"cosine_points": tuple(on_cosines)})
        measured = replace(measured, record=record)
    return Outcome(measured, quality, features, compared)


def _scoring(
    features: LabelledFeatures, record: tables.Calibration, quality: tables.QualityCurve
) -> tables.PairScoring | None:
    """A fit of quality-aware scoring, where there is a quality and enough people to judge it."""
    if quality.basis == "none":
        return None
    # Half of the people make a quarter of the comparisons; a little less where halves differ.
    fmr = operating_point(record, share=0.2).fmr
    try:
        return fit_scoring(features, _unit_quality(features, quality), fmr)
    except CalibrationError:
        return None


def _aware(
    compared: Comparisons,
    features: LabelledFeatures,
    quality: tables.QualityCurve,
    scoring: tables.PairScoring,
) -> AwarePairs:
    return AwarePairs(compared, _unit_quality(features, quality), scoring.slope, scoring.offset)


def _unit_quality(features: LabelledFeatures, quality: tables.QualityCurve) -> NDArray[np.float32]:
    curve = Curve(quality.centre, quality.width)
    return (curve(features.norms()) / 100).astype(np.float32)


def _enrolled(features: LabelledFeatures, gate: float) -> LabelledFeatures:
    passing = np.flatnonzero(features.norms() >= gate)
    attempts = replace(features.attempts, refused=len(features) - len(passing))
    return replace(features.take(passing), attempts=attempts)


def write(found: Package, outcome: Outcome) -> Package:
    """Put the records into the package and write its card anew."""
    return card.refresh(
        package.replace(
            found,
            {
                schema.CALIBRATION: _json(outcome.measured.record),
                schema.QUALITY: _json(outcome.quality),
            },
        )
    )


def _json(record: schema.Record) -> bytes:
    return (record.model_dump_json(indent=1) + "\n").encode()
