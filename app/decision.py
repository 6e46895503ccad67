"""Scores to decisions, in error rates.

No threshold stands in the code: they come from a package's calibration, from a gallery's own
strangers, or from the caller.
"""

from collections.abc import Sequence
from dataclasses import replace

from app.domain import Decision, IdentifyThreshold, Observation, Verdict, VerifyThreshold
from app.errors import (
    CalibrationMissingError,
    ContractMismatchError,
    InputError,
    RateUnsupportedError,
)
from app.rates.own import OwnRates
from export.contract import cosine
from export.rates import aware_similarity, fmr_from_fpir, fpir_from_fmr
from export.tables import Calibration, OperatingPoint, PairScoring


def threshold_at(calibration: Calibration | None, fmr: float) -> VerifyThreshold:
    """The cosine threshold of the loosest calibrated rate that does not exceed `fmr`.

    Raises CalibrationMissingError, and RateUnsupportedError for a rate stricter than the data
    behind the table supports.
    """
    known = _known(calibration)
    point = _point(known.points, fmr)
    if point is None:
        raise _unsupported(known, known.points, f"fmr={fmr:g} is", fmr)
    return VerifyThreshold(
        point.threshold, "calibration", point.fmr, point.fmr_interval, known.data.name
    )


def with_review(
    threshold: VerifyThreshold, calibration: Calibration | None, review_fmr: float
) -> VerifyThreshold:
    """The same threshold with an inconclusive zone below it, down to the looser rate's threshold.

    Raises InputError where `review_fmr` is not the looser of the two, and as `threshold_at` does.
    """
    looser = threshold_at(calibration, review_fmr)
    if looser.value > threshold.value:
        raise InputError("review_fmr must be looser (larger) than the rate of a match")
    return replace(threshold, review=looser.value, review_fmr=looser.fmr)


def threshold_given(cosine_threshold: float) -> VerifyThreshold:
    """A threshold the caller answers for; nothing is known of its error rate."""
    return VerifyThreshold(cosine_threshold, "request", None, None, None)


def with_search_review(
    threshold: IdentifyThreshold, looser: IdentifyThreshold
) -> IdentifyThreshold:
    """The same threshold with an inconclusive zone down to that of a looser rate."""
    return replace(threshold, review=min(looser.value, threshold.value), review_fpir=looser.fpir)


def identify_at(
    calibration: Calibration | None, fpir: float, faces: int, own: OwnRates | None = None
) -> IdentifyThreshold:
    """The threshold that keeps a stranger's false candidates at `fpir` among `faces` faces.

    On the plain cosine, which is what a search ranks by, whatever verifying goes by. From the
    package's 1:1 table by FPIR ≤ 1 − (1 − FMR)^faces, so that it rises as the gallery
    grows, or from the gallery's own strangers: the stricter where both speak, the one that does
    where only one supports the rate. Raises CalibrationMissingError, and RateUnsupportedError
    where neither does.
    """
    if own is None or not own.supports(fpir, faces):
        return _from_package(_known(calibration), fpir, faces)
    found = own.threshold(fpir, faces)
    local = IdentifyThreshold(
        found.value, faces, "gallery", fpir, found.interval, None, own.describe()
    )
    try:
        return max(_from_package(_known(calibration), fpir, faces), local, key=_strictness)
    except (CalibrationMissingError, RateUnsupportedError):
        return local


def _strictness(threshold: IdentifyThreshold) -> float:
    return threshold.value


def _from_package(calibration: Calibration, fpir: float, faces: int) -> IdentifyThreshold:
    needed = fmr_from_fpir(fpir, max(faces, 1))
    points = calibration.on_cosines
    if not points:
        raise CalibrationMissingError(
            "the recogniser's package is calibrated on quality-aware scores alone, and a search "
            "goes by cosines; run `norma calibrate` again, or pass threshold= (a cosine)"
        )
    point = _point(points, needed)
    if point is None:
        raise _unsupported(
            calibration,
            points,
            f"fpir={fpir:g} among {faces:,} faces needs fmr={needed:.2g}, which is",
            needed,
        )
    low, high = (fpir_from_fmr(min(rate, 1 - 1e-12), faces) for rate in point.fmr_interval)
    return IdentifyThreshold(
        point.threshold,
        faces,
        "calibration",
        fpir,
        (low, high),
        point.fmr,
        calibration.data.name,
    )


def identify_given(cosine_threshold: float, faces: int) -> IdentifyThreshold:
    """A 1:N threshold the caller answers for."""
    return IdentifyThreshold(cosine_threshold, faces, "request", None, None, None, None)


def decide(
    a: Observation,
    b: Observation,
    threshold: VerifyThreshold,
    identical: bool,
    scoring: PairScoring | None = None,
) -> Decision:
    """Compare two faces. Raises ContractMismatchError across contracts."""
    if a.embedding.contract_id != b.embedding.contract_id:
        raise ContractMismatchError(
            f"features of contracts {a.embedding.contract_id} and {b.embedding.contract_id} "
            "cannot be compared"
        )
    similarity = cosine(a.embedding.feature, b.embedding.feature)
    score = pair_score(similarity, a.quality.score, b.quality.score, threshold, scoring)
    return Decision(verdict(score, threshold), similarity, score, threshold, identical)


def pair_score(
    similarity: float,
    a: float | None,
    b: float | None,
    threshold: VerifyThreshold,
    scoring: PairScoring | None,
) -> float:
    """What is held against the threshold: the quality-aware form of the similarity where the
    calibration behind the threshold is of that, the similarity itself against a cosine that the
    caller gave. `a` and `b` are the two faces' qualities, 0–100."""
    if scoring is None or a is None or b is None or threshold.source == "request":
        return similarity
    return aware_similarity(similarity, min(a, b) / 100, scoring.slope, scoring.offset)


def verdict(score: float, threshold: VerifyThreshold | IdentifyThreshold) -> Verdict:
    """What a score means at a threshold."""
    if score >= threshold.value:
        return Verdict.MATCH
    if threshold.review is not None and score >= threshold.review:
        return Verdict.INCONCLUSIVE
    return Verdict.NO_MATCH


def _known(calibration: Calibration | None) -> Calibration:
    if calibration is None:
        raise CalibrationMissingError(
            "the recogniser's package has no calibration, so no false match rate is known; pass "
            "threshold= (a cosine) yourself, or run `norma calibrate`"
        )
    return calibration


def _point(points: Sequence[OperatingPoint], fmr: float) -> OperatingPoint | None:
    """The loosest point that does not exceed the rate."""
    allowed = (point for point in points if point.fmr <= fmr * (1 + 1e-9))
    return next(allowed, None)


def _unsupported(
    calibration: Calibration, points: Sequence[OperatingPoint], what: str, fmr: float
) -> RateUnsupportedError:
    strictest = points[-1].fmr
    needed = f"{3 / fmr:,.0f}" if fmr > 1e-12 else "more than 10^12"
    return RateUnsupportedError(
        f"{what} stricter than the calibration supports ({strictest:g}, from "
        f"{calibration.data.impostor} impostor comparisons of {calibration.data.name}; {fmr:.2g} "
        f"needs {needed})",
        strictest_fmr=strictest,
    )
