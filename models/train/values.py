"""Configs to and from JSON and `key=value` text, checked against the dataclasses' own types."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import NoneType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from models.train.config import Parameters, Scalar

C = TypeVar("C")


NAMES: dict[object, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
}


class ConfigError(ValueError):
    """An unknown key or a value of the wrong type; the message lists what there is."""


def to_json(config: object) -> dict[str, Any]:
    """A config as JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(cast(Any, config))))


def from_json(kind: type[C], values: Mapping[str, Any], prefix: str = "") -> C:
    """A config from JSON values. Raises ConfigError on unknown keys and wrong types."""
    hints = get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise ConfigError(f"unknown key {prefix}{key}; keys here: {', '.join(hints)}")
    return kind(**{key: _read(hints[key], value, prefix + key) for key, value in values.items()})


def override(config: C, settings: Sequence[str]) -> C:
    """A config with `key=value` settings applied in order.

    `loss.parameters.margin=0.4` sets a parameter of the loss; tuples are comma-separated. Raises
    ConfigError on an unknown key, listing those there are, and on a value of the wrong type.
    """
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise ConfigError(f"{setting!r} is not key=value")
        config = _set(config, key.split("."), text, key)
    return config


def keys(kind: type[object], prefix: str = "") -> Iterator[str]:
    """Every key that `override` accepts."""
    for name, hint in get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            yield from keys(cast(type, hint), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}" + (".…" if hint == Parameters else "")


def _set(config: C, path: Sequence[str], text: str, key: str) -> C:
    hints = get_type_hints(type(config))
    head, *rest = path
    if head not in hints:
        known = ", ".join(keys(type(config), key[: len(key) - len(".".join(path))]))
        raise ConfigError(f"unknown key {key}; keys here: {known}")
    hint, current = hints[head], getattr(config, head)
    if dataclasses.is_dataclass(hint):
        if not rest:
            inside = ", ".join(keys(cast(type, hint), f"{key}."))
            raise ConfigError(f"{key} is a section; its keys: {inside}")
        value = _set(current, rest, text, key)
    elif hint == Parameters:
        if len(rest) != 1:
            raise ConfigError(f"{key} holds parameters: set {key}.NAME=value")
        value = {**current, rest[0]: _scalar(text)}
    elif rest:
        raise ConfigError(f"{key}: {head} has no parts")
    else:
        value = _parse(hint, text, key)
    return cast(C, dataclasses.replace(cast(Any, config), **{head: value}))


def _scalar(text: str) -> Scalar:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, bool | int | float | NoneType) else text


def _parse(hint: object, text: str, key: str) -> object:
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        return tuple(_parse(item, part, key) for part in text.split(",") if part)
    if hint is bool and text in {"true", "false"}:
        return text == "true"
    if hint is int or hint is float:
        with suppress(ValueError):
            return int(text) if hint is int else float(text)
    return _read(hint, text, key)


def _read(hint: object, value: object, key: str) -> object:
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_json(cast(type, hint), value, f"{key}.")
    if hint == Parameters and isinstance(value, Mapping):
        return dict(value)
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        return tuple(_read(get_args(hint)[0], item, key) for item in value)
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise ConfigError(f"{key} is {_name(hint)}; not {value!r}")


def _name(hint: object) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(get_args(hint))
    if get_origin(hint) is tuple:
        return f"a comma-separated list of {get_args(hint)[0].__name__}"
    return NAMES.get(hint, "a section")
