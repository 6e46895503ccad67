"""The results as a Markdown page."""

from typing import Any

WHAT = (
    "`norma_*`: a feature goes in and subjects come out, over HTTP from `norma serve`, by closed-"
    "loop clients on the same cores. `faiss_*` and `numpy_*`: the same vectors in process, one "
    "probe at a time, best ten. All sides alternate. Norma's exact search scans 8-bit codes and "
    "proves each answer by comparing candidates in full; `exact_over_best_bare_int8` is its p50 "
    "for one client over that of FAISS's best 8-bit flat index. Vectors are synthetic: clustered "
    "identities, five faces each (benchmarks/gallery/vectors.py). Intervals are Wilson's, 95%."
)


def page(found: dict[str, Any]) -> str:
    """The machine, then a table for each size."""
    about = found["machine"]
    head = f"{about['cpu']}, {about['cores']} cores, {about['date']}, commit {about['commit']}"
    load = f"Load before: {about['load_before']}. Versions: {about['versions']}."
    parts = ["# The gallery, measured", f"{head}. {load}", WHAT]
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
