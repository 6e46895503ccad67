"""`evidence.json`: what was measured on a package's own file, and how it was made.

The model card is written from it; a figure that is not here is "not measured" there.
"""

from typing import Annotated, Literal

from pydantic import Field

from export.manifest import Record, Sha256, Text

EVIDENCE = "evidence.json"
QUANTISED = "quantised.json"

Precision = Literal["fp32", "fp16", "int8"]

Rate = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Scalar = bool | int | float | str | None


class Interval(Record):
    """A rate with its 95 % confidence interval."""

    value: Rate
    low: Rate
    high: Rate


class TarPoint(Record):
    """TAR at the smallest threshold whose FMR is at most `fmr`."""

    fmr: Rate
    threshold: float
    tar: Interval


class Verification(Record):
    """1:1 figures on one data set, of the packaged file, without flipping.

    `accuracy` is the ten-fold mean, where the set defines folds. `intervals_over`: what was
    resampled; comparisons only where the set does not say whose they are.
    """

    data: Text
    images: Count
    genuine: Count
    impostor: Count
    subjects: Count | None
    auc: Rate
    eer: Rate
    tar: list[TarPoint]
    intervals_over: Literal["subjects", "comparisons"]
    accuracy: Rate | None = None
    accuracy_std: Rate | None = None


class Discard(Record):
    """Error versus discard by the norm: does it work as a quality? See `models.evaluate.Area`."""

    data: Text
    fmr: Rate
    fnmr_start: Rate
    limit: Rate
    raw: float
    above_ideal: float
    normalised: float | None


class ParityFigures(Record):
    """See `export.parity.Parity`."""

    images: Count
    batches: list[int]
    max_difference: float
    min_cosine: float
    max_norm_error: float
    same_order: bool


class DriftFigures(Record):
    """See `export.drift.Drift`. `data`: the crops, and whether they were trained on."""

    data: Text
    crops: Count
    subjects: Count
    cosine_mean: float
    cosine_min: float
    norm_error_mean: float
    norm_error_max: float
    norm_rank_correlation: float
    auc_before: Rate
    auc_after: Rate
    accuracy_before: Rate
    accuracy_after: Rate


class Quantised(Record):
    """`quantised.json`: which package the int8 one was made from, and how far it is from it."""

    schema_version: Literal[1] = 1
    parent: Text
    parent_contract_id: Text
    parent_model: Sha256
    crops: Count
    """Crops that the ranges were taken from."""
    drift: DriftFigures


class TrainingRun(Record):
    """The run that the weights come from; `weights` says whether they are a moving average."""

    recipe: Text
    step: Count
    weights: Literal["averaged", "last"]
    backbone: Text
    backbone_parameters: dict[str, Scalar]
    loss: Text
    loss_parameters: dict[str, Scalar]
    data: Text
    data_licence: Text
    images: Count
    identities: Count
    fingerprint: Sha256
    software: dict[str, str]


class Evidence(Record):
    """Everything known about a trained package."""

    schema_version: Literal[1] = 1
    contract_id: str
    precision: Precision
    prelu_rewritten: Count
    training: TrainingRun
    parity: ParityFigures
    drift: DriftFigures | None
    verification: list[Verification]
    discard: list[Discard]
