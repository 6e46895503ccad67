"""Schemas of a model package's JSON files. Unknown keys, NaN and impossible values are refused.

The tables of what was measured are in `export.tables`, how all are read in `export.record`; both
can be reached from here.
"""

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, TypeAdapter, field_validator, model_validator

from export import contract
from export.record import Record, RecordT, Sha256, Slug, Text, parse, parse_record
from export.tables import (
    Calibration,
    CalibrationData,
    CurvePoint,
    DiscardCurve,
    DiscardEvidence,
    DiscardPoint,
    Disparity,
    GroupPoint,
    GroupRates,
    OperatingPoint,
    PairScoring,
    QualityCurve,
    QualityGates,
    ScoreHistogram,
    UnsupportedRate,
)

__all__ = [
    "CALIBRATION",
    "CARD",
    "GOLDEN",
    "MANIFEST",
    "MODEL",
    "QUALITY",
    "Calibration",
    "CalibrationData",
    "CurvePoint",
    "DetectorManifest",
    "DiscardCurve",
    "DiscardEvidence",
    "DiscardPoint",
    "Disparity",
    "FileEntry",
    "GroupPoint",
    "GroupRates",
    "InputSpec",
    "Licence",
    "Manifest",
    "OperatingPoint",
    "PairScoring",
    "QualityCurve",
    "QualityGates",
    "RecogniserManifest",
    "Record",
    "RecordT",
    "ScoreHistogram",
    "Sha256",
    "Slug",
    "Template",
    "Text",
    "Training",
    "Triple",
    "UnsupportedRate",
    "is_plain",
    "parse",
    "parse_manifest",
    "parse_record",
]

Triple = tuple[float, float, float]

MANIFEST = "manifest.json"
MODEL = "model.onnx"
CALIBRATION = "calibration.json"
QUALITY = "quality.json"
GOLDEN = "golden.npz"
CARD = "MODEL_CARD.md"


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


def parse_manifest(text: bytes, where: str) -> RecogniserManifest | DetectorManifest:
    """A manifest from JSON bytes; ManifestError names `where` and the field."""
    return parse(_MANIFEST, text, where)
