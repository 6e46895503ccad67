"""The table of metrics is the code's, and what is drawn or alarmed on exists.

`NORMA_UPDATE_SNAPSHOTS=1 python -m pytest tests/contract/test_metrics.py` writes it anew.
"""

import os
import re

from prometheus_client import Metric

from app.telemetry.gauges import Galleries, LogLines, Queues, Ready
from app.telemetry.metrics import Build, Metrics
from tests.contract.sources import ROOT

PAGE = ROOT / "app" / "telemetry" / "README.md"
TABLE = re.compile(r"(?<=<!-- metrics -->\n).*(?=<!-- end -->)", re.DOTALL)


def families() -> list[Metric]:
    """Every metric of our own."""
    metrics = Metrics()
    metrics.name(Build("", "", "", "", ""))
    for collector in (
        Queues({}),
        Galleries(dict),
        Ready(lambda: None),
        LogLines(int),
    ):
        metrics.registry.register(collector)
    found = [one for one in metrics.registry.collect() if one.name.startswith("norma_")]
    return sorted(found, key=lambda one: one.name)


def table() -> str:
    rows = [f"| `{_full(one)}` | {one.type} | {one.documentation} |\n" for one in families()]
    return "| metric | type | |\n|---|---|---|\n" + "".join(rows)


def _full(one: Metric) -> str:
    return one.name + {"counter": "_total", "info": "_info"}.get(one.type, "")


def samples() -> set[str]:
    """Every name that a query can ask for."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {
        one.name + suffix for one in families() for suffix in suffixes.get(one.type, ("", "_info"))
    }


def test_the_table_is_the_current_one() -> None:
    text = PAGE.read_text()
    current = TABLE.sub(lambda _: table(), text)
    if os.environ.get("NORMA_UPDATE_SNAPSHOTS"):
        PAGE.write_text(current)
    assert PAGE.read_text() == current, "NORMA_UPDATE_SNAPSHOTS=1 writes it anew"


def test_metrics_that_dashboards_and_alerts_ask_for_exist() -> None:
    known = samples()
    assert len(known) > 30
    asked = {
        (path.name, name)
        for path in sorted((ROOT / "docker").rglob("*"))
        if path.suffix in {".json", ".yml", ".yaml"}
        for name in re.findall(r"\bnorma_[a-z_]+(?=[\[{) ])", path.read_text())
    }
    assert {(path, name) for path, name in asked if name not in known} == set()
