"""The figures as a page and a plot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]


def write(record: Record) -> str:
    """Markdown."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: Record) -> Iterator[str]:
    versions = ", ".join(f"{name} {v}" for name, v in record["versions"].items() if v)
    yield "# Speed"
    yield ""
    yield (
        f"{record['cpu']}, {record['cores']} cores, {record['date']}, commit {record['commit']}, "
        f"{versions}; load of the machine before {record['load_before']}. Medians of "
        f"{record['rounds']} interleaved rounds of {record['seconds']:g} s; requests carry "
        "two portraits at 640×640 and a group at 1280×886. The client shares the cores. "
        "“Bare” is the same network runs, both detector passes included, on prepared tensors."
    )
    default = record["default"]
    for operation in ("embed", "verify"):
        yield from _table(f"Default packages: {operation}", default[operation], {})
    yield from _stages(default["stages_ms"])
    yield from _overload(default["overload"])
    for name, found in record.get("beside_insightface", {}).items():
        cosines = found["cosine_to_insightface"]
        yield from _table(f"{name}: embed, beside insightface", found["embed"], cosines)
        yield from _table(f"{name}: verify", found["verify"], {})


def _table(title: str, rows: Record, cosines: Record) -> Iterator[str]:
    compared = any("insightface" in sides for sides in rows.values())
    yield ""
    yield f"## {title}"
    yield ""
    head = "| clients | side | requests/s | p50 ms | p99 ms | of bare |"
    yield head + (" of insightface | lowest cosine |" if compared else "")
    yield "|---" * (head.count("|") - 1 + 2 * compared) + "|"
    for clients, sides in rows.items():
        for name, row in sides.items():
            line = (
                f"| {clients} | {name} | {row['rate']:.1f} | {row['p50_ms']:.1f} | "
                f"{row['p99_ms']:.1f} | {row['of_bare']:.2f} |"
            )
            if compared:
                line += f" {row['rate'] / sides['insightface']['rate']:.2f} |"
                line += f" {cosines.get(name, '')} |"
            yield line


def _stages(stages_ms: Record) -> Iterator[str]:
    whole = sum(stages_ms.values())
    yield ""
    yield "## Where one embedding's time goes (one client, medians)"
    yield ""
    yield "| stage | ms | share |"
    yield "|---|---|---|"
    for name, ms in stages_ms.items():
        yield f"| {name} | {ms:.2f} | {ms / whole:.0%} |"
    yield f"| all | {whole:.2f} | |"


def _overload(rows: Record) -> Iterator[str]:
    yield ""
    yield "## More than it can do (open loop, Poisson arrivals, shares of the closed loop's peak)"
    yield ""
    yield "| offered | a second | good in time, of capacity | p50 ms | p99 ms | refused | p99 ms |"
    yield "|---|---|---|---|---|---|---|"
    for share, row in rows.items():
        refused_ms = row["refused_p99_ms"] if row["refused"] else "–"
        yield (
            f"| {share} | {row['offered']} | {row['of_capacity']:.0%} | {row['p50_ms']} | "
            f"{row['p99_ms']} | {row['refused']} | {refused_ms} |"
        )


def plot(record: Record, path: Path) -> None:
    """Rates over clients, one panel a weight set."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {"YuNet + SFace (default)": record["default"]["embed"]}
    beside = record.get("beside_insightface", {})
    panels |= {name: found["embed"] for name, found in beside.items()}
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(5 * len(panels), 4), squeeze=False, layout="constrained"
    )
    for axis, (title, rows) in zip(axes[0], panels.items(), strict=True):
        clients = [int(number) for number in rows]
        for name in next(iter(rows.values())):
            rates = [sides[name]["rate"] for sides in rows.values()]
            style = "--" if name == "bare" else "-"
            axis.plot(clients, rates, style, marker="o", markersize=3, label=name)
        axis.set(title=title, xlabel="clients", ylabel="photos a second", xscale="log", ylim=0)
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=110)
