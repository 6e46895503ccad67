"""Has what this service sees changed since it started? Strangers' top scores and faces' norms.

The first values are the baseline; each window after them is compared with it. A gallery that grows
raises strangers' scores too, and a new camera or population shows in either.
"""

from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Literal

import numpy as np
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.rates.drift import Drift, Live, baseline

WINDOW = 1000
"""Values that make the baseline, and each comparison with it."""

Quantity = Literal["stranger_score", "norm_enrol", "norm_query"]


class Windows:
    """One quantity, a window of values after another. Thread-safe."""

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._lock = Lock()
        self._first: list[float] = []
        self._live: Live | None = None
        self._count = 0
        self.latest: Drift | None = None
        """Of the last complete window; None before there is one."""

    def add(self, value: float) -> None:
        """Count one value."""
        with self._lock:
            if self._live is None:
                self._first.append(value)
            else:
                self._live.add(value)
            self._count += 1
            if self._count == self._size:
                self._turn()

    def _turn(self) -> None:
        if self._live is not None:
            self.latest = self._live.drift()
        self._live = Live(baseline(np.array(self._first)))
        self._count = 0


class Drifts(Collector):
    """Every quantity's latest comparison."""

    def __init__(self, of: Mapping[Quantity, Windows]) -> None:
        self._of = of

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = {name: windows.latest for name, windows in self._of.items()}
        for field, what in (
            ("index", f"Population stability index of the last {WINDOW} values against the first."),
            ("expected", "What chance alone would give."),
            ("drifted", "1 where the difference is neither chance nor too small to matter."),
        ):
            name = "norma_drifted" if field == "drifted" else f"norma_drift_{field}"
            family = GaugeMetricFamily(name, what, labels=("quantity",))
            for quantity, drift in found.items():
                if drift is not None:
                    family.add_metric((quantity,), float(getattr(drift, field)))
            yield family
