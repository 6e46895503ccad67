"""Which losses there are, where each comes from, and how to build one by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from models.losses.annealing import Annealing
from models.losses.base import MarginLoss

Parameter = float | int | bool | str | Annealing | None
L = TypeVar("L", bound=MarginLoss)


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a loss was published; `arxiv` is the identifier, "" where there is none."""

    title: str
    venue: str
    arxiv: str = ""

    @property
    def link(self) -> str:
        return f"[{self.title}](https://arxiv.org/abs/{self.arxiv})" if self.arxiv else self.title


@dataclass(frozen=True, slots=True)
class Preset:
    """A loss with the parameters that a named source uses."""

    name: str
    loss: str
    source: str
    parameters: Mapping[str, Parameter]


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered loss; `target` is its target logit in the notation of the table."""

    name: str
    kind: type[MarginLoss]
    paper: Paper
    target: str

    @property
    def defaults(self) -> Mapping[str, Parameter]:
        """The parameters of the loss and their defaults."""
        signature = inspect.signature(self.kind).parameters.values()
        return MappingProxyType({p.name: p.default for p in signature if p.name not in _SHAPE})


_SHAPE = ("dim", "num_classes")
_LOSSES: dict[str, Entry] = {}
_PRESETS: dict[str, Preset] = {}


def register(name: str, *, paper: Paper, target: str) -> Callable[[type[L]], type[L]]:
    """Class decorator: the loss is known to `build` and to the table under this name."""

    def add(loss: type[L]) -> type[L]:
        _LOSSES[name] = Entry(name, loss, paper, target)
        return loss

    return add


def preset(name: str, *, loss: str, source: str, **parameters: Parameter) -> None:
    """Name a set of parameters; `build` accepts the name like a loss's."""
    _PRESETS[name] = Preset(name, loss, source, MappingProxyType(parameters))


def names() -> tuple[str, ...]:
    return tuple(_LOSSES)


def presets() -> tuple[Preset, ...]:
    return tuple(_PRESETS.values())


def entry(name: str) -> Entry:
    """The registered loss of that name, or of the preset of that name; ValueError if neither."""
    loss = _PRESETS[name].loss if name in _PRESETS else name
    if loss not in _LOSSES:
        raise ValueError(
            f"no loss is called {name!r}; there are {', '.join([*_LOSSES, *_PRESETS])}"
        )
    return _LOSSES[loss]


def build(name: str, *, dim: int, num_classes: int, **parameters: Parameter) -> MarginLoss:
    """A loss by name, or by the name of a preset, whose parameters may be overridden.

    Raises ValueError for an unknown name or parameter, or a value that the loss refuses.
    """
    known = entry(name)
    if unknown := parameters.keys() - known.defaults.keys():
        raise ValueError(
            f"{known.name} has no parameter {', '.join(sorted(unknown))}; "
            f"it takes {', '.join(known.defaults)}"
        )
    given = {**_PRESETS[name].parameters, **parameters} if name in _PRESETS else parameters
    make: Callable[..., MarginLoss] = known.kind
    return make(dim=dim, num_classes=num_classes, **given)
