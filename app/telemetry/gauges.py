"""What is read when Prometheus asks, rather than kept: queues, galleries, drift."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from app.errors import NormaError
from app.gallery.health.examiner import Totals
from app.gallery.types import Holdings
from app.telemetry.meters import Load, Queue


class Queues(Collector):
    """The load of every queue."""

    def __init__(self, loads: Mapping[Queue, Callable[[], Load]]) -> None:
        self._loads = loads

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = {queue: read() for queue, read in self._loads.items()}
        for name, what in (
            ("running", "Being worked on."),
            ("waiting", "Waiting to be begun."),
            ("places", "Permits: the most that may run and wait together."),
        ):
            family = GaugeMetricFamily(f"norma_queue_{name}", what, labels=("queue",))
            for queue, load in found.items():
                family.add_metric((queue,), getattr(load, name))
            yield family


class Galleries(Collector):
    """How much is enrolled in all, under the recogniser's contract ("current") and "other" ones."""

    def __init__(self, read: Callable[[], Mapping[str, Holdings]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = self._read()
        for name in ("galleries", "subjects", "faces"):
            family = GaugeMetricFamily(
                f"norma_enrolled_{name}",
                f"{name.capitalize()} in the store, under the running recogniser's contract or "
                "another.",
                labels=("contract",),
            )
            for contract, holdings in found.items():
                family.add_metric((contract,), getattr(holdings, name))
            yield family


class Ready(Collector):
    """What `/readyz` would answer."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check` raises a NormaError where the service cannot serve."""
        self._check = check

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            self._check()
        except NormaError:
            ready = 0
        else:
            ready = 1
        yield GaugeMetricFamily("norma_ready", "1 where the service can serve.", value=ready)


class LogLines(Collector):
    """What the log could not be told."""

    def __init__(self, lost: Callable[[], int]) -> None:
        self._lost = lost

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            "norma_log_lines_lost",
            "Lines that could not be written: a full disk, a closed pipe, a reader that stalls.",
            value=self._lost(),
        )


class GalleriesHealth(Collector):
    """The galleries' health in all; no gallery is named."""

    def __init__(self, read: Callable[[], Totals | None]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        reports = GaugeMetricFamily("norma_health_reports", "Galleries with a health report.")
        found = GaugeMetricFamily(
            "norma_health_findings", "What the reports list, over all galleries.", labels=("kind",)
        )
        drifted = GaugeMetricFamily(
            "norma_health_drifted",
            "Galleries whose live values have left their reference: strangers' scores, norms.",
            labels=("quantity",),
        )
        totals = self._read()
        if totals is not None:
            reports.add_metric((), totals.reports)
            for kind, count in totals.found.items():
                found.add_metric((kind,), count)
            for quantity, count in totals.drifted.items():
                drifted.add_metric((quantity,), count)
        yield from (reports, found, drifted)
