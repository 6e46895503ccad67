"""Each setting as data: its variable, default, range and meaning."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.settings import Settings

_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


@dataclass(frozen=True, slots=True)
class Described:
    """One setting for people."""

    name: str
    default: str
    values: str
    meaning: str


def variable(name: str) -> str:
    """A setting's environment variable."""
    return f"NORMA_{name.upper()}"


def is_secret(name: str) -> bool:
    """Whether a setting's value may be shown to nobody."""
    return name in Settings.model_fields and SecretStr in _types(Settings.model_fields[name])


def described() -> Iterator[Described]:
    """Every setting, in the order of the class."""
    defaults: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        value = field.get_default(call_default_factory=True, validated_data=defaults)
        defaults[name] = value
        meaning = " ".join((field.description or "").split())
        yield Described(name, written(value), _values(field), meaning)


def written(value: object) -> str:
    """A value as one writes it into the environment."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _types(field: FieldInfo) -> tuple[Any, ...]:
    annotation = field.annotation
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (annotation,)


def _values(field: FieldInfo) -> str:
    """What a setting can be: its choices, or its kind and bounds."""
    [kind, *_] = [one for one in _types(field) if one is not NoneType]
    bounds = [*field.metadata]
    if get_origin(kind) is Annotated:
        kind, *inner = get_args(kind)
        bounds += [bound for one in inner for bound in getattr(one, "metadata", ())]
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    return " ".join([_KINDS.get(kind, "text"), ", ".join(_bounds(bounds))]).strip()


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for name, sign in _SIGNS.items():
        for one in metadata:
            if hasattr(one, name):
                yield f"{sign} {written(getattr(one, name))}"


_KINDS = {int: "whole number", float: "number", bool: "0 or 1", Path: "path", SecretStr: "secret"}
