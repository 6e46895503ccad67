"""The quality record: curve, gates, evidence, and the decision whether the norm is a quality."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export import tables as schema
from export.calibrate.comparisons import AllPairs, genuine_pairs
from export.calibrate.labels import LabelledFeatures
from export.errors import CalibrationError
from export.quality.curve import fit_curve
from export.quality.evidence import Qualities, Trial, evidence

OPERATING_FMR = 1e-4
"""Where discarding is judged, or the strictest rate above it that the data support tenfold."""
_SUPPORT = 10


@dataclass(frozen=True, slots=True)
class QualityPlan:
    """`enrol` and `query` are the fractions of the calibration photos that each gate refuses."""

    data: str
    enrol: float = 0.02
    query: float = 0.005


def quality_record(
    features: LabelledFeatures,
    calibration: schema.Calibration,
    plan: QualityPlan,
    degraded: LabelledFeatures | None = None,
) -> schema.QualityCurve:
    """Fit the curve and decide its basis on error-versus-discard curves.

    `degraded` holds the same photos made worse at random, where the recogniser was at hand.
    """
    norms = features.norms()
    curve = fit_curve(norms)
    found = _evidence(features, degraded, calibration)
    basis = _is_quality(found)
    enrol, query = (
        float(np.quantile(norms, part)) if basis else 0.0 for part in (plan.enrol, plan.query)
    )
    return schema.QualityCurve(
        contract_id=features.contract_id,
        basis="norm" if basis else "none",
        centre=curve.centre,
        width=curve.width,
        gates=schema.QualityGates(
            enrol=enrol,
            query=query,
            enrol_fraction=plan.enrol if basis else 0.0,
            query_fraction=plan.query if basis else 0.0,
        ),
        data=plan.data,
        images=len(features),
        reason=_reason(found),
        evidence=found,
    )


def qualities(features: LabelledFeatures) -> Qualities:
    """The norm first, then its rivals as far as they were measured."""
    found = {"norm": features.norms()}
    if features.measures is not None:
        found["detector-score"] = features.measures.detector_score
        found["sharpness"] = features.measures.sharpness
        found["face-size"] = features.measures.face_size
    return found


def operating_point(calibration: schema.Calibration, share: float = 1.0) -> schema.OperatingPoint:
    """The strictest measured point from `OPERATING_FMR` up with ten expected errors behind it.

    `share` is the part of the impostor comparisons that will be at hand.
    """
    impostor = calibration.data.impostor * share
    return [
        point
        for point in calibration.points
        if point is calibration.points[0]
        or (point.fmr >= OPERATING_FMR and point.fmr * impostor >= _SUPPORT)
    ][-1]


def _evidence(
    features: LabelledFeatures, degraded: LabelledFeatures | None, calibration: schema.Calibration
) -> list[schema.DiscardEvidence]:
    point = operating_point(calibration)
    found = []
    for photos in (features, degraded):
        if photos is None:
            continue
        pairs = genuine_pairs(AllPairs(photos.unit(), photos.subjects_N))
        trial = Trial(pairs, point.fmr, point.threshold)
        try:
            found.append(evidence(trial, qualities(photos), degraded=photos is degraded))
        except CalibrationError:
            continue
    return found


def _is_quality(found: Sequence[schema.DiscardEvidence]) -> bool:
    """The norm beats chance on some photos, and is worse than chance on none."""
    norms = [(trial.curves[0], trial.chance) for trial in found]
    return any(curve.beats_chance for curve, _ in norms) and not any(
        curve.area > chance[1] for curve, chance in norms
    )


def _reason(found: Sequence[schema.DiscardEvidence]) -> str:
    if not found:
        return "no genuine comparison was missed, so no discard could be shown to help"
    return "; ".join(
        f"photos {trial.photos}: discarding by norm leaves {trial.curves[0].area:.2f} of the area "
        f"without discarding, chance {trial.chance[0]:.2f} to {trial.chance[1]:.2f}"
        for trial in found
    )
