"""OpenTelemetry spans, sent to a collector over OTLP/HTTP.

A span holds the method, the route's template, the status, the error's code and times: nothing that
a caller sent. The caller's `traceparent` (W3C Trace Context) is honoured, its `tracestate` is not
passed on, as it may hold any text.
"""

from dataclasses import dataclass
from importlib.metadata import version
from time import perf_counter, time_ns

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.meters import Stage
from app.telemetry.middleware import exchange

_SECONDS = 5
"""How long one batch may take to be sent, and the end to wait for the last."""


def exported_to(endpoint: str, sample: float) -> "Spans":
    """Spans of the share `sample` of requests, sent by a thread of their own; where the collector
    does not answer they are dropped."""
    url = endpoint.rstrip("/")
    if url.count("/") == 2:  # no path: the collector's own
        url += "/v1/traces"
    return Spans(BatchSpanProcessor(OTLPSpanExporter(url, timeout=_SECONDS)), sample)


class Spans:
    """Implements `Tracing`."""

    def __init__(self, processor: SpanProcessor, sample: float = 1.0) -> None:
        resource = Resource.create({"service.name": "norma", "service.version": version("norma")})
        sampler = ParentBased(TraceIdRatioBased(sample))
        self._processor = processor
        self._provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("norma")

    def wrapped(self, app: ASGIApp) -> ASGIApp:
        return _Traced(app, self._tracer)

    def stage(self, name: Stage, start: float, end: float) -> None:
        if not trace.get_current_span().is_recording():
            return
        now, elapsed = time_ns(), perf_counter()
        span = self._tracer.start_span(name, start_time=now - int((elapsed - start) * 1e9))
        span.end(now - int((elapsed - end) * 1e9))

    def close(self) -> None:
        self._processor.force_flush(_SECONDS * 1000)
        self._provider.shutdown()


@dataclass(frozen=True, slots=True)
class _Traced:
    app: ASGIApp
    tracer: Tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("traceparent")
        carrier = {} if given is None else {"traceparent": given}
        parent = TraceContextTextMapPropagator().extract(carrier)
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        span = self.tracer.start_span("request", parent, SpanKind.SERVER)
        scope.setdefault("state", {})["trace_id"] = f"{span.get_span_context().trace_id:032x}"
        with trace.use_span(span, True, record_exception=False, set_status_on_exception=False):
            try:
                await self.app(scope, receive, watched)
            finally:
                _describe(span, scope, status)


def _describe(span: Span, scope: Scope, status: int) -> None:
    """By OpenTelemetry's names for HTTP servers."""
    done = exchange(scope, status, 0.0)
    span.update_name(f"{done.method} {done.route}")
    span.set_attribute("http.request.method", done.method)
    span.set_attribute("http.route", done.route)
    span.set_attribute("http.response.status_code", status)
    if done.code is not None:
        span.set_attribute("error.type", done.code)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
