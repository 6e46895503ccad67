"""Schemas of a model package's JSON files. Unknown keys, NaN and impossible values are refused."""

import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from export import contract
from export.errors import ManifestError

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Triple = tuple[float, float, float]

MANIFEST = "manifest.json"
MODEL = "model.onnx"
CALIBRATION = "calibration.json"
QUALITY = "quality.json"
GOLDEN = "golden.npz"
CARD = "MODEL_CARD.md"


class Record(BaseModel):
    """Base of every schema here: immutable, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileEntry(Record):
    """Digest and size of one file of the package, checked before the file is opened."""

    sha256: Sha256
    size: Annotated[int, Field(ge=1, le=4 * 1024**3)]


class Licence(Record):
    """Under which terms the weights may be used; shown at start-up and in `/v1/models`."""

    name: Text
    commercial_use: bool
    url: Text | None = None
    note: Text | None = None


class Training(Record):
    """What the weights were trained on, as far as it is known."""

    data: Text
    loss: Text


class InputSpec(Record):
    """The network's input: name, pixel arithmetic, and batch size where the graph fixes it."""

    name: Text
    colour_order: contract.ColourOrder
    mean: Triple
    std: Triple
    layout: Literal["NCHW"] = "NCHW"
    fixed_batch: Literal[1] | None = None

    @field_validator("std")
    @classmethod
    def _above_zero(cls, std: Triple) -> Triple:
        if min(std) <= 0:
            raise ValueError("must be above zero")
        return std

    def preprocessing(self) -> contract.Preprocessing:
        """The same facts as the function that applies them."""
        return contract.Preprocessing(self.colour_order, self.mean, self.std)


class Template(Record):
    """The alignment template, written out so that a package explains itself."""

    name: Slug
    size: Annotated[int, Field(ge=16, le=1024)]
    points: Annotated[list[tuple[float, float]], Field(min_length=5, max_length=5)]

    def template(self) -> contract.AlignmentTemplate:
        """The same facts as the contract's type."""
        return contract.AlignmentTemplate(self.name, self.size, tuple(self.points))


class _Common(Record):
    schema_version: Literal[1] = 1
    name: Slug
    version: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$")]
    description: Text
    source: Text
    created: datetime
    licence: Licence
    training: Training
    opset: Annotated[int, Field(ge=9, le=26)]
    input: InputSpec
    files: Annotated[dict[str, FileEntry], Field(min_length=2, max_length=32)]

    @field_validator("files")
    @classmethod
    def _plain_names(cls, files: dict[str, FileEntry]) -> dict[str, FileEntry]:
        for name in files:
            if name == MANIFEST or not is_plain(name):
                raise ValueError(f"{name!r} is not a plain file name inside the package")
        for needed in (MODEL, GOLDEN):
            if needed not in files:
                raise ValueError(f"{needed} is not listed")
        return files


_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_plain(name: str) -> bool:
    """Whether a file of this name lies in the package's own directory, on every system."""
    return _PLAIN.fullmatch(name) is not None


class RecogniserManifest(_Common):
    """A recogniser: aligned crop in, raw un-normalised feature out."""

    kind: Literal["recogniser"] = "recogniser"
    template: Template
    output: Text
    dim: Annotated[int, Field(ge=2, le=8192)]
    normalised: bool
    contract_id: Annotated[str, StringConstraints(pattern=r"^c1-[0-9a-f]{32}$")]

    @model_validator(mode="after")
    def _contract_holds(self) -> Self:
        expected = contract.contract_id(
            self.files[MODEL].sha256,
            self.input.preprocessing(),
            self.template.template(),
            self.dim,
        )
        if self.contract_id != expected:
            raise ValueError(f"contract_id is {self.contract_id}, the facts give {expected}")
        return self


class DetectorManifest(_Common):
    """A face detector with five landmarks."""

    kind: Literal["detector"] = "detector"
    family: Literal["scrfd", "yunet"]
    outputs: Annotated[list[Text], Field(min_length=9, max_length=12)]
    score_threshold: Annotated[float, Field(gt=0, lt=1)]
    nms_threshold: Annotated[float, Field(gt=0, lt=1)]
    input_sizes: Annotated[list[Annotated[int, Field(ge=64, le=2048)]], Field(min_length=1)]
    """Longest sides in pixels the main pass may use, ascending; multiples of 32."""

    @field_validator("input_sizes")
    @classmethod
    def _multiples_of_32(cls, sizes: list[int]) -> list[int]:
        if sizes != sorted(set(sizes)) or any(size % 32 for size in sizes):
            raise ValueError("must ascend and hold multiples of 32")
        return sizes


Manifest = Annotated[RecogniserManifest | DetectorManifest, Field(discriminator="kind")]
_MANIFEST: TypeAdapter[RecogniserManifest | DetectorManifest] = TypeAdapter(Manifest)


Rate = Annotated[float, Field(ge=0, le=1)]
Target = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
RateInterval = tuple[Rate, Rate]


class CalibrationData(Record):
    """On what a table was measured; ISO/IEC 19795-1 asks for subjects and comparisons.

    Failures are counted apart from the error rates: photos that could not be decoded, photos
    without a detected face, and faces that the enrolment gate refused.
    """

    name: Text
    subjects: Positive
    images: Positive
    genuine: Positive
    impostor: Positive
    failures_to_detect: Count
    detector: Text
    photos: Count = 0
    failures_to_decode: Count = 0
    failures_to_enrol: Count = 0
    comparisons: Literal["all pairs", "listed pairs"] = "all pairs"


class OperatingPoint(Record):
    """One row of the 1:1 table. Rates are fractions; intervals are two-sided.

    `support` is "measured", or the tail model by which the threshold was extrapolated; then
    `measured_fmr` and the FNMR are still what the data show at that threshold.
    """

    fmr: Target
    threshold: Annotated[float, Field(ge=-1, le=1)]
    measured_fmr: Rate
    fmr_interval: RateInterval
    fnmr: Rate
    fnmr_interval: RateInterval
    support: Literal["measured", "gpd", "exponential"] = "measured"


class UnsupportedRate(Record):
    """A rate that was left out, and the impostor comparisons it would have needed."""

    fmr: Target
    needed: Positive


class CurvePoint(Record):
    """FMR and FNMR at one threshold, for drawing."""

    threshold: float
    fmr: Rate
    fnmr: Rate


class ScoreHistogram(Record):
    """Scores counted in equal bins from `low` to `high`, for drawing."""

    low: float
    high: float
    genuine: Annotated[list[Count], Field(min_length=1, max_length=256)]
    impostor: Annotated[list[Count], Field(min_length=1, max_length=256)]


class GroupPoint(Record):
    """What one group meets at the whole population's threshold for `fmr`."""

    fmr: Target
    false_matches: Count
    measured_fmr: Rate
    fmr_interval: RateInterval
    fnmr: Rate | None
    fnmr_interval: RateInterval | None


class GroupRates(Record):
    """Comparisons within one group only: its own impostors are the hard ones (NIST FRTE)."""

    name: Text
    subjects: Count
    images: Count
    genuine: Count
    impostor: Count
    points: list[GroupPoint]


class Disparity(Record):
    """How far groups lie apart at one threshold; None where a group has no measured error.

    `fmr_ratio` is the worst group's FMR over the best's, `fmr_over_mean` the worst's over the
    geometric mean of all, `fnmr_ratio` the worst's FNMR over the best's.
    """

    fmr: Target
    fmr_ratio: float | None
    fmr_over_mean: float | None
    fnmr_ratio: float | None


class Calibration(Record):
    """Cosine thresholds for false match rates, measured for one contract id."""

    schema_version: Literal[1] = 1
    contract_id: str
    measured: datetime
    data: CalibrationData
    interval: Text
    points: Annotated[list[OperatingPoint], Field(min_length=1, max_length=64)]
    unsupported: list[UnsupportedRate] = []
    equal_error_rate: Rate | None = None
    curve: Annotated[list[CurvePoint], Field(max_length=512)] = []
    histogram: ScoreHistogram | None = None
    groups: list[GroupRates] = []
    disparities: list[Disparity] = []

    @model_validator(mode="after")
    def _stricter_rates_have_higher_thresholds(self) -> Self:
        rates = [point.fmr for point in self.points]
        thresholds = [point.threshold for point in self.points]
        if rates != sorted(rates, reverse=True) or thresholds != sorted(thresholds):
            raise ValueError("points must go from loose to strict, thresholds ascending")
        return self


class QualityGates(Record):
    """Smallest norms that pass; enrolment is stricter than a query.

    The fractions say how many of the calibration photos each gate refuses.
    """

    enrol: Annotated[float, Field(ge=0)]
    query: Annotated[float, Field(ge=0)]
    enrol_fraction: Rate = 0.0
    query_fraction: Rate = 0.0

    @model_validator(mode="after")
    def _enrolment_is_stricter(self) -> Self:
        if self.query > self.enrol:
            raise ValueError("the query gate is stricter than the enrolment gate")
        return self


class DiscardPoint(Record):
    """FNMR of the genuine comparisons left after discarding this fraction, poorest first."""

    discarded: Rate
    fnmr: Rate


class DiscardCurve(Record):
    """Error versus discard by one measure of quality.

    `area` is the area under the curve up to the evidence's limit, over that of no improvement:
    about 1 for a measure that knows nothing, less where the error falls.
    """

    measure: Slug
    area: Annotated[float, Field(ge=0)]
    beats_chance: bool
    points: Annotated[list[DiscardPoint], Field(max_length=128)]


class DiscardEvidence(Record):
    """What discarding poor photos does to FNMR at a fixed threshold (ISO/IEC 29794-1).

    `chance` is the central 95% of the areas that shuffled qualities reach. "degraded" photos are
    the same photos blurred, shrunk, darkened or with noise, at random.
    """

    photos: Literal["as given", "degraded"]
    fmr: Target
    threshold: float
    genuine: Positive
    misses: Count
    limit: Target
    chance: tuple[float, float]
    curves: Annotated[list[DiscardCurve], Field(min_length=1, max_length=16)]


class PairScoring(Record):
    """Quality-aware similarity by QMagFace's form, s + min(0, slope · s + offset) · min(q, q′).

    q is the 0–100 quality over 100. `fnmr_plain` and `fnmr_aware` were measured at `fmr` on
    subjects not used for the fit; it is `kept` only where they show a gain.
    """

    slope: float
    offset: float
    fmr: Target
    fnmr_plain: Rate
    fnmr_aware: Rate
    gain_interval: tuple[float, float]
    kept: bool


class QualityCurve(Record):
    """Norm to 0–100 by OFIQ's form, 100 / (1 + exp((centre − norm) / width)), with gates.

    `basis` is "none" where the norm was not shown to carry information about quality; `reason`
    says what the decision rests on. `scoring` is what a fit of
    quality-aware scoring came to.
    """

    schema_version: Literal[1] = 1
    contract_id: str
    basis: Literal["norm", "none"]
    centre: float
    width: Annotated[float, Field(gt=0)]
    gates: QualityGates
    data: Text
    images: Annotated[int, Field(ge=1)]
    reason: Text | None = None
    evidence: list[DiscardEvidence] = []
    scoring: PairScoring | None = None


def parse_manifest(text: bytes, where: str) -> RecogniserManifest | DetectorManifest:
    """A manifest from JSON bytes; ManifestError names `where` and the field."""
    return parse(_MANIFEST, text, where)


Parsed = TypeVar("Parsed")
RecordT = TypeVar("RecordT", bound=Record)


def parse_record(kind: type[RecordT], text: bytes, where: str) -> RecordT:
    """A calibration or quality file from JSON bytes; ManifestError names `where` and the field."""
    return parse(TypeAdapter(kind), text, where)


def parse(schema: TypeAdapter[Parsed], text: bytes, where: str) -> Parsed:
    """A value of `schema` from JSON bytes; ManifestError names `where` and the field.

    Strict: no strings for numbers, and no key twice (readers disagree on which one counts).
    """
    try:
        parsed = schema.validate_json(text, strict=True)
    except ValidationError as error:
        raise ManifestError(_explain(error, where)) from error
    try:
        json.loads(text, object_pairs_hook=_without_doubles)
    except KeyError as error:
        raise ManifestError(f"{where}: {error.args[0]}: stands there twice") from error
    return parsed


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise KeyError(key)
        found[key] = value
    return found


def _explain(error: ValidationError, where: str) -> str:
    first: dict[str, Any] = dict(error.errors(include_url=False)[0])
    field = ".".join(str(part) for part in first["loc"]) or "(whole file)"
    return f"{where}: {field}: {first['msg']}"
