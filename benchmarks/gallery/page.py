"""The results as a Markdown page."""

from typing import Any


def page(found: dict[str, Any]) -> str:
    """The machine, then a table for each size."""
    about = found["machine"]
    head = f"{about['cpu']}, {about['cores']} cores, {about['date']}, commit {about['commit']}"
    load = f"Load before: {about['load_before']}. Versions: {about['versions']}."
    parts = ["# The gallery, measured", head + ".", load]
    return "\n\n".join(parts + [_size(one) for one in found["sizes"]]) + "\n"


def _size(one: dict[str, Any]) -> str:
    rows = [f"## {one['faces']:,} faces of {one['dim']}", ""]
    rows += ["| side (`t`: threads; otherwise clients) | p50 ms | p99 ms | a second |", "|-|-|-|-|"]
    for name, side in one["sides"].items():
        rows.append(
            f"| {name} | {side['p50_ms']:.2f} | {_cell(side, 'p99_ms')} "
            f"| {_cell(side, 'per_second')} |"
        )
    rest = {name: value for name, value in one.items() if name not in ("faces", "dim", "sides")}
    return "\n".join([*rows, "", "| figure | value |", "|-|-|", *map(_row, rest.items())])


def _row(item: tuple[str, Any]) -> str:
    name, value = item
    return f"| {name} | {value} |"


def _cell(side: dict[str, float], key: str) -> str:
    return f"{side[key]:.2f}" if key in side else ""
