"""The one table of backbones: a new one is a file, a decorator and an import line."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from models.backbones.base import Backbone

F = TypeVar("F", bound=Callable[..., Backbone])


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered backbone: how to build it and where it was published."""

    build: Callable[..., Backbone]
    source: str


_ENTRIES: dict[str, Entry] = {}


def register(name: str, source: str) -> Callable[[F], F]:
    """Register a factory `(dim, *, …) -> Backbone` under `name`; `source` cites the paper."""

    def add(factory: F) -> F:
        if name in _ENTRIES:
            raise ValueError(f"backbone {name!r} is registered twice")
        _ENTRIES[name] = Entry(factory, source)
        return factory

    return add


def names() -> list[str]:
    """Every registered name, in order of registration."""
    return list(_ENTRIES)


def entry(name: str) -> Entry:
    """The entry of `name`; ValueError, naming those there are, when there is none."""
    if name not in _ENTRIES:
        raise ValueError(f"unknown backbone {name!r}; choose from {', '.join(names())}")
    return _ENTRIES[name]


def build(name: str, dim: int = 512, **parameters: object) -> Backbone:
    """A freshly initialised backbone with features of `dim` values.

    `parameters` are the factory's own keyword arguments; all take `width` (a multiplier on the
    channels) and `norm_head` ("frozen_bn" | "free_bn" | "none"). Raises ValueError for an unknown
    name, parameter or value.
    """
    factory = entry(name).build
    accepted = [key for key in inspect.signature(factory).parameters if key != "dim"]
    if unknown := sorted(set(parameters) - set(accepted)):
        raise ValueError(f"{name} takes {', '.join(accepted)}; not {', '.join(unknown)}")
    return factory(dim, **parameters)
