"""Evaluation from features and scores: numpy only, so that nothing here needs torch."""

from models.evaluate.comparisons import Comparisons, compare_all, compare_pairs
from models.evaluate.discard import Area, DiscardCurve, error_versus_discard, pair_quality
from models.evaluate.identification import Searches, rank_accuracy, search, tpir_at_fpir
from models.evaluate.intervals import ErrorPoint, Estimate, Resampling
from models.evaluate.rates import (
    ErrorCurve,
    UnsupportedRateError,
    auc,
    equal_error_rate,
    error_curve,
    fmr,
    fnmr,
    threshold_at_fmr,
)
from models.evaluate.templates import aggregate
from models.evaluate.verification import FoldAccuracy, fold_accuracy, tar_at_fmr

__all__ = [
    "Area",
    "Comparisons",
    "DiscardCurve",
    "ErrorCurve",
    "ErrorPoint",
    "Estimate",
    "FoldAccuracy",
    "Resampling",
    "Searches",
    "UnsupportedRateError",
    "aggregate",
    "auc",
    "compare_all",
    "compare_pairs",
    "equal_error_rate",
    "error_curve",
    "error_versus_discard",
    "fmr",
    "fnmr",
    "fold_accuracy",
    "pair_quality",
    "rank_accuracy",
    "search",
    "tar_at_fmr",
    "threshold_at_fmr",
    "tpir_at_fpir",
]
