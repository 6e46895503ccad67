"""The Prometheus metrics of one service, in a registry of their own.

Labels are routes, codes, stages and classes: a bounded number, and none of them names anybody.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from app.telemetry.drift import Drifts, Quantity, Windows
from app.telemetry.meters import Dropped, Network, Queue, Stage, Use

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ITEMS = (1, 2, 4, 8, 16, 32, 64)
SCORES = tuple(round(-0.2 + 0.05 * n, 2) for n in range(25))
QUALITIES = tuple(range(10, 101, 10))
MOST_CAUSES = 32
"""Classes of decoding errors that have a label of their own; the rest is "other"."""

_NORMS: dict[Use, Quantity] = {"enrol": "norm_enrol", "query": "norm_query"}

OnStage = Callable[[Stage, float, float], None]


@dataclass(frozen=True, slots=True)
class Build:
    """What runs: the labels of `norma_build_info`."""

    version: str
    detector: str
    recogniser: str
    contract_id: str
    provider: str


class Metrics:
    """Counts for Prometheus what is reported to it; implements `Meters`."""

    def __init__(self, on_stage: Sequence[OnStage] = ()) -> None:
        """`on_stage` are told of each stage too, in the caller's context: traces."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._on_stage = on_stage
        self._causes: set[str] = set()
        self.requests = Counter(
            "norma_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "norma_http_request_seconds",
            "From the request's head to the last byte of the answer.",
            ("method", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "norma_http_requests_in_flight", "Requests being answered.", registry=registry
        )
        self.refusals = Counter(
            "norma_refusals",
            "Answers that were errors, by their code.",
            ("code",),
            registry=registry,
        )
        self.lag = Histogram(
            "norma_event_loop_lag_seconds",
            "How late the event loop came back to a timer.",
            buckets=SECONDS,
            registry=registry,
        )
        self.stages = Histogram(
            "norma_stage_seconds",
            "Time of one stage of one photo or search.",
            ("stage",),
            buckets=SECONDS,
            registry=registry,
        )
        self.windows: dict[Quantity, Windows] = {
            "stranger_score": Windows(),
            "norm_enrol": Windows(),
            "norm_query": Windows(),
        }
        registry.register(Drifts(self.windows))
        self._measure_queues(registry)
        self._measure_faces(registry)

    def _measure_queues(self, registry: CollectorRegistry) -> None:
        self.waits = Histogram(
            "norma_queue_wait_seconds",
            "Waiting before being begun.",
            ("queue",),
            buckets=SECONDS,
            registry=registry,
        )
        self.drops = Counter(
            "norma_queue_dropped",
            "Left a queue without having been begun.",
            ("queue", "reason"),
            registry=registry,
        )
        self.batches = Histogram(
            "norma_batch_items",
            "Items of one run of a network.",
            ("network",),
            buckets=ITEMS,
            registry=registry,
        )

    def _measure_faces(self, registry: CollectorRegistry) -> None:
        self.undecoded = Counter(
            "norma_images_undecodable",
            "Photos that could not be decoded, by the decoder's own error.",
            ("cause",),
            registry=registry,
        )
        self.qualities = Histogram(
            "norma_face_quality",
            "Quality of faces, 0 to 100.",
            ("use",),
            buckets=QUALITIES,
            registry=registry,
        )
        self.poor = Counter(
            "norma_faces_poor",
            "Faces found poor, once for each reason.",
            ("use", "reason"),
            registry=registry,
        )
        self.top_scores = Histogram(
            "norma_identify_top_score",
            "Highest similarity that an identification met.",
            ("outcome",),
            buckets=SCORES,
            registry=registry,
        )

    def name(self, build: Build) -> None:
        """Say what runs; once."""
        info = Info("norma_build", "What runs.", registry=self.registry)
        info.info(asdict(build))

    def refused(self, code: str) -> None:
        """An answer was this error."""
        self.refusals.labels(code).inc()

    def stage(self, name: Stage, start: float, end: float) -> None:
        self.stages.labels(name).observe(end - start)
        for told in self._on_stage:
            told(name, start, end)

    def waited(self, queue: Queue, seconds: float) -> None:
        self.waits.labels(queue).observe(seconds)

    def dropped(self, queue: Queue, why: Dropped) -> None:
        self.drops.labels(queue, why).inc()

    def batch(self, network: Network, items: int) -> None:
        self.batches.labels(network).observe(items)

    def undecodable(self, cause: str) -> None:
        if len(self._causes) < MOST_CAUSES:
            self._causes.add(cause)
        self.undecoded.labels(cause if cause in self._causes else "other").inc()

    def judged(self, use: Use, norm: float, score: float | None, reasons: Sequence[str]) -> None:
        self.windows[_NORMS[use]].add(norm)
        if score is not None:
            self.qualities.labels(use).observe(score)
        for reason in reasons:
            self.poor.labels(use, reason).inc()

    def searched(self, top: float, found: bool) -> None:
        self.top_scores.labels("found" if found else "nobody").observe(top)
        if not found:
            self.windows["stranger_score"].add(top)
