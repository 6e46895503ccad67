"""losses.json, the pictures, and the tables of losses.md from the cached runs."""

import json
from pathlib import Path
from typing import Any

from benchmarks.losses import cache, plots
from benchmarks.losses.summary import summarise
from benchmarks.losses.tables import all_tables

MARK = "<!-- Below: tables written by `python -m benchmarks losses report`. -->\n"


def write_report(runs: Path, folder: Path) -> None:
    """What stands above the mark in losses.md is written by hand and kept."""
    summary = summarise(cache.read(runs))
    text = json.dumps(_rounded(summary), ensure_ascii=False, separators=(",", ":"))
    (folder / "losses.json").write_text(text.replace('},"', '},\n"') + "\n")
    plots.draw_all(summary, folder)
    page = folder / "losses.md"
    words = page.read_text().split(MARK)[0] if page.exists() else ""
    page.write_text(words + MARK + "\n" + all_tables(summary))


def _rounded(summary: dict[str, Any]) -> dict[str, Any]:
    """Four decimals: more would be noise."""
    rounded: dict[str, Any] = json.loads(
        json.dumps(summary), parse_float=lambda text: round(float(text), 4)
    )
    return rounded
