"""What every JSON file of a package is read by: strictly, whole, with the field that is wrong."""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from export.errors import ManifestError

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Record(BaseModel):
    """Base of every schema here: immutable, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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
