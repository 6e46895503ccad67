"""Scores to decisions, in error rates.

No threshold stands in the code: they come from a package's calibration, or from the caller.
"""

from app.domain import Decision, Embedding, VerifyThreshold
from app.errors import CalibrationMissingError, ContractMismatchError, RateUnsupportedError
from export.contract import cosine
from export.manifest import Calibration


def threshold_at(calibration: Calibration | None, fmr: float) -> VerifyThreshold:
    """The cosine threshold of the loosest calibrated rate that does not exceed `fmr`.

    Raises CalibrationMissingError, and RateUnsupportedError for a rate stricter than the data
    behind the table supports.
    """
    if calibration is None:
        raise CalibrationMissingError(
            "the recogniser's package has no calibration, so no false match rate is known; pass "
            "threshold= (a cosine) yourself, or run `norma calibrate`"
        )
    allowed = [point for point in calibration.points if point.fmr <= fmr * (1 + 1e-9)]
    if not allowed:
        strictest = calibration.points[-1].fmr
        raise RateUnsupportedError(
            f"fmr={fmr:g} is stricter than the calibration supports ({strictest:g}, from "
            f"{calibration.data.impostor} impostor comparisons of {calibration.data.name})",
            strictest_fmr=strictest,
        )
    point = allowed[0]
    return VerifyThreshold(
        point.threshold, "calibration", point.fmr, point.fmr_interval, calibration.data.name
    )


def threshold_given(cosine_threshold: float) -> VerifyThreshold:
    """A threshold the caller answers for; nothing is known of its error rate."""
    return VerifyThreshold(cosine_threshold, "request", None, None, None)


def decide(a: Embedding, b: Embedding, threshold: VerifyThreshold, identical: bool) -> Decision:
    """Compare two embeddings. Raises ContractMismatchError across contracts."""
    if a.contract_id != b.contract_id:
        raise ContractMismatchError(
            f"features of contracts {a.contract_id} and {b.contract_id} cannot be compared"
        )
    similarity = cosine(a.feature, b.feature)
    return Decision(similarity >= threshold.value, similarity, threshold, identical)
