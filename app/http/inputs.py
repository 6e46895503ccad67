"""The base of all request bodies: no unknown fields, no value of another type than asked for."""

from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

_SCALARS: dict[type, tuple[type, ...]] = {
    bool: (bool,),
    int: (int, float),
    float: (int, float),
    str: (str,),
}
"""What JSON may hold where a type is asked for; 1.0 is an integer there, and true is not."""


class In(BaseModel):
    """Base of all request bodies. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _of_its_type(cls, value: object, info: ValidationInfo) -> object:
        """Nothing is taken for something else: `true` for 1, or "0.5" for a threshold."""
        accepted = _accepted(cls.model_fields[info.field_name or ""].annotation)  # type: ignore[arg-type]
        if accepted and type(value) in _SCALARS and type(value) not in accepted:
            raise ValueError("of another type than is asked for")
        return value


@cache
def _accepted(annotation: Any) -> tuple[type, ...]:  # noqa: ANN401 - any annotation
    """The JSON scalars that may stand there; empty where others than scalars may."""
    if get_origin(annotation) is Annotated:
        return _accepted(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        inner = [_accepted(one) for one in get_args(annotation) if one is not type(None)]
        return sum(inner, ()) if all(inner) else ()
    return _SCALARS.get(annotation, ())
