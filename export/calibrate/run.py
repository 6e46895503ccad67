"""One calibration from labelled features to a package's records and its report."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export import manifest as schema
from export import package
from export.calibrate.comparisons import AllPairs, Comparisons, ListedPairs, genuine_pairs
from export.calibrate.labels import LabelledFeatures
from export.calibrate.photos import Extraction
from export.calibrate.table import Measured, Plan, calibrate
from export.errors import CalibrationError
from export.package import Package
from export.quality.curve import Curve
from export.quality.record import QualityPlan, operating_point, quality_record
from export.quality.scoring import fit_scoring
from export.report.page import Content
from export.report.worst import WorstPair, worst_pairs

Names = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a calibration came to, and the features it rests on (after a gate, if one was used)."""

    measured: Measured
    quality: schema.QualityCurve
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
) -> Outcome:
    """Table, quality record and scoring.

    With `gated`, photos under the enrolment gate count as failures to enrol, and the table is
    measured on the others: what a service that refuses them will meet.
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
    return Outcome(measured, quality, features, compared)


def _scoring(
    features: LabelledFeatures, record: schema.Calibration, quality: schema.QualityCurve
) -> schema.PairScoring | None:
    """A fit of quality-aware scoring, where there is a quality and enough people to judge it."""
    if quality.basis == "none":
        return None
    curve = Curve(quality.centre, quality.width)
    quality_N = (curve(features.norms()) / 100).astype(np.float32)
    try:
        return fit_scoring(features, quality_N, operating_point(record).fmr)
    except CalibrationError:
        return None


def _enrolled(features: LabelledFeatures, gate: float) -> LabelledFeatures:
    passing = np.flatnonzero(features.norms() >= gate)
    attempts = replace(features.attempts, refused=len(features) - len(passing))
    return replace(features.take(passing), attempts=attempts)


def write(found: Package, outcome: Outcome) -> Package:
    """Put the records into the package, in one step."""
    return package.replace(
        found,
        {
            schema.CALIBRATION: _json(outcome.measured.record),
            schema.QUALITY: _json(outcome.quality),
        },
    )


def _json(record: schema.Record) -> bytes:
    return (record.model_dump_json(indent=1) + "\n").encode()
