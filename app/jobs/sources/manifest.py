"""Manifests: what is said of each photo or feature, a line each, as NDJSON or CSV."""

import base64
import binascii
import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import IO, Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from app.domain import Box
from app.errors import FeatureInvalidError, ManifestInvalidError
from app.gallery.types import NewFace, SubjectSpec
from app.jobs.sources.entries import Features, SourceLimits, shown

ManifestFormat = Literal["ndjson", "csv"]


def _milliseconds(value: object) -> object:
    """ISO 8601 as milliseconds; what has no offset is UTC."""
    if not isinstance(value, str) or value.isdecimal():
        return value
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


Moment = Annotated[int, BeforeValidator(_milliseconds), Field(ge=0, le=2**53)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FaceLine(_Strict):
    """One face, as an export writes it."""

    feature: str
    quality: float | None = Field(None, ge=0, le=100)
    box: tuple[float, float, float, float] | None = None
    source_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    created_at: Moment | None = None

    def face(self) -> NewFace:
        """Raises FeatureInvalidError."""
        try:
            raw = base64.b64decode(self.feature, validate=True)
            feature = np.frombuffer(raw, "<f4").astype(np.float32)
        except (binascii.Error, ValueError) as error:
            raise FeatureInvalidError("a feature is base64 of little-endian float32") from error
        source = (
            hashlib.sha256(raw).digest()
            if self.source_sha256 is None
            else bytes.fromhex(self.source_sha256)
        )
        box = None if self.box is None else Box(*self.box)
        return NewFace(feature, self.quality, box, source, self.created_at)


class Line(_Strict):
    """A subject, and either the path of a photo, one feature, or several faces."""

    item: str | None = Field(None, max_length=512)
    subject: str = Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")
    path: str | None = Field(None, min_length=1, max_length=4096)
    contract_id: str | None = Field(None, max_length=128)
    feature: str | None = None
    quality: float | None = Field(None, ge=0, le=100)
    source_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    faces: list[FaceLine] | None = Field(None, max_length=1000)
    name: str | None = Field(None, max_length=256)
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    tags: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(
        default_factory=list, max_length=32
    )
    consent_ref: str | None = Field(None, max_length=256)
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if sum(one is not None for one in (self.path, self.feature, self.faces)) != 1:
            raise ValueError("give exactly one of path, feature and faces")
        if (self.path is None) != (self.contract_id is not None):
            raise ValueError("contract_id goes with features, and only with them")
        if self.feature is None and (self.quality is not None or self.source_sha256 is not None):
            raise ValueError("quality and source_sha256 go with a feature")
        return self

    def spec(self) -> SubjectSpec:
        return SubjectSpec(
            self.name, self.metadata, tuple(self.tags), self.consent_ref, self.expires_at
        )

    def features(self) -> Features:
        """Of a line without a path. Raises FeatureInvalidError."""
        given = self.faces
        if self.feature is not None:
            given = [
                FaceLine(
                    feature=self.feature, quality=self.quality, source_sha256=self.source_sha256
                )
            ]
        return Features(self.contract_id or "", tuple(one.face() for one in given or ()))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a manifest, as it is shown in reports, and what it says or why it cannot be
    read."""

    name: str
    line: Line | ManifestInvalidError


def rows(format_: ManifestFormat, file: IO[bytes], limits: SourceLimits) -> Iterator[Row]:
    """Line by line. Raises ManifestInvalidError where the manifest as a whole cannot be read."""
    read = _ndjson if format_ == "ndjson" else _csv
    for count, row in enumerate(read(file, limits)):
        if count == limits.entries:
            raise ManifestInvalidError(f"the manifest has more than {limits.entries} lines")
        yield row


def _ndjson(file: IO[bytes], limits: SourceLimits) -> Iterator[Row]:
    for number, text in enumerate(_lines(file, limits), start=1):
        if text.strip():
            yield _row(number, partial(Line.model_validate_json, text))


def _csv(file: IO[bytes], limits: SourceLimits) -> Iterator[Row]:
    try:
        reader = csv.DictReader((t.decode("utf-8-sig") for t in _lines(file, limits)), strict=True)
        unknown = set(reader.fieldnames or ()) - Line.model_fields.keys()
        if unknown or "subject" not in (reader.fieldnames or ()):
            raise ManifestInvalidError(
                f"the columns of a CSV manifest are subject and any of {', '.join(_COLUMNS)}"
            )
        for cells in reader:
            yield _row(reader.line_num, partial(_of_cells, cells))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ManifestInvalidError("the manifest is not CSV in UTF-8") from error


_COLUMNS = tuple(name for name in Line.model_fields if name not in ("subject", "faces"))


def _of_cells(cells: dict[str | Any, str | Any]) -> Line:
    """Empty cells are absent; tags are separated by semicolons; metadata is a JSON object."""
    if None in cells or None in cells.values():
        raise ValueError("more or fewer cells than columns")
    found: dict[str, object] = {name: text for name, text in cells.items() if text != ""}
    if "tags" in found:
        found["tags"] = [tag.strip() for tag in cells["tags"].split(";") if tag.strip()]
    if "metadata" in found:
        found["metadata"] = json.loads(cells["metadata"])
    return Line.model_validate(found)


def _row(number: int, parse: Callable[[], Line]) -> Row:
    try:
        line = parse()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = f"line {number}: {where + ': ' if where else ''}{first['msg']}"
        return Row(f"line {number}", ManifestInvalidError(said))
    except (ValueError, RecursionError) as error:
        return Row(f"line {number}", ManifestInvalidError(f"line {number}: {error}"))
    return Row(shown(line.item or line.path or f"line {number}"), line)


def _lines(file: IO[bytes], limits: SourceLimits) -> Iterator[bytes]:
    while text := file.readline(limits.line_bytes + 1):
        if len(text) > limits.line_bytes:
            raise ManifestInvalidError(f"a line of more than {limits.line_bytes} bytes")
        yield text
