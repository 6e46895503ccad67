"""The registry as Markdown: loss → paper → target logit → defaults."""

from collections.abc import Iterable, Mapping

from models.losses.annealing import Annealing
from models.losses.registry import Entry, Parameter, entry, names, presets


def losses_table() -> str:
    """Every loss, one row each."""
    head = ("loss", "paper", "target logit", "parameters", "length matters", "Partial FC")
    return _markdown(head, (_row(entry(name)) for name in names()))


def presets_table() -> str:
    """Every preset: the loss it builds, the source of its figures, and the figures."""
    rows = ((f"`{p.name}`", f"`{p.loss}`", p.source, _parameters(p.parameters)) for p in presets())
    return _markdown(("preset", "loss", "source", "parameters"), rows)


def _row(loss: Entry) -> tuple[str, ...]:
    return (
        f"`{loss.name}`",
        f"{loss.paper.link}, {loss.paper.venue}",
        loss.target,
        _parameters(loss.defaults),
        _yes(loss.kind.wants_free_norm),
        _yes(loss.kind.samples_classes),
    )


def _parameters(parameters: Mapping[str, Parameter]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in parameters.items()) or "–"


def _value(value: Parameter) -> str:
    if isinstance(value, Annealing):
        return f"max({value.floor:g}, {value.base:g}·(1 + {value.gamma:g}·n)^−{value.power:g})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
