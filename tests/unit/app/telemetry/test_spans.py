"""Spans of requests and stages, and what is not in them."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from threading import Thread
from time import perf_counter

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.errors import BusyError
from app.http import failures
from app.http.limits import RequestId
from app.telemetry.spans import Spans

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SECRET = "anna-k"  # noqa: S105 - a name that must not be told
Ask = Callable[..., Sequence[ReadableSpan]]


def asker(spans: Spans, exporter: InMemorySpanExporter) -> Ask:
    """Asks an application whose stages run in another thread; the spans that came of it."""
    app = FastAPI()
    failures.install(app)

    @app.post("/people/{name}")
    async def person(name: str) -> None:
        start = perf_counter()
        if name == "busy":
            raise BusyError("full")
        if name == "broken":
            raise RuntimeError(SECRET)
        work = Thread(target=copy_context().run, args=(spans.stage, "embed", start, start + 0.25))
        work.start()
        await asyncio.to_thread(work.join)

    app.add_middleware(spans.wrapped)
    app.add_middleware(RequestId)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    async def asked(path: str, headers: dict[str, str]) -> None:
        async with httpx.AsyncClient(transport=transport, base_url="http://norma") as client:
            await client.post(path, headers=headers, content=SECRET)

    def ask(path: str, **headers: str) -> Sequence[ReadableSpan]:
        exporter.clear()
        asyncio.run(asked(path, {name.replace("_", "-"): text for name, text in headers.items()}))
        return exporter.get_finished_spans()

    return ask


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def ask(exporter: InMemorySpanExporter) -> Ask:
    return asker(Spans(SimpleSpanProcessor(exporter)), exporter)


def test_a_request_and_its_stages_are_one_trace(ask: Ask) -> None:
    stage, request = ask("/people/anna")
    assert (stage.name, request.name) == ("embed", "POST /people/{name}")
    assert stage.parent is not None
    assert request.context is not None
    assert stage.parent.span_id == request.context.span_id
    assert stage.start_time is not None
    assert stage.end_time is not None
    assert stage.end_time - stage.start_time == pytest.approx(0.25e9, abs=1e6)


def test_the_callers_trace_is_joined(ask: Ask) -> None:
    _, request = ask("/people/anna", traceparent=f"00-{TRACE}-{PARENT}-01")
    assert request.parent is not None
    assert request.context is not None
    assert request.context.trace_id == int(TRACE, 16)
    assert request.parent.span_id == int(PARENT, 16)


@pytest.mark.parametrize("given", ["", "00-xyz", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-1-01"])
def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(ask: Ask, given: str) -> None:
    _, request = ask("/people/anna", traceparent=given)
    assert request.parent is None


def test_the_caller_may_ask_not_to_be_traced(ask: Ask) -> None:
    assert ask("/people/anna", traceparent=f"00-{TRACE}-{PARENT}-00") == ()


def test_a_share_of_none_traces_only_who_asks(exporter: InMemorySpanExporter) -> None:
    ask = asker(Spans(SimpleSpanProcessor(exporter), sample=0.0), exporter)
    assert ask("/people/anna") == ()
    assert len(ask("/people/anna", traceparent=f"00-{TRACE}-{PARENT}-01")) == 2


def test_failures_say_their_status_and_code(ask: Ask) -> None:
    [busy] = ask("/people/busy")
    assert busy.attributes == {
        "http.request.method": "POST",
        "http.route": "/people/{name}",
        "http.response.status_code": 503,
        "error.type": "overloaded",
    }
    assert not busy.status.is_ok
    [broken] = ask("/people/broken")
    assert broken.attributes is not None
    assert broken.attributes["http.response.status_code"] == 500
    [missing] = ask(f"/{SECRET}")
    assert missing.name == "POST unmatched"
    assert missing.status.is_unset


def test_P06_nothing_that_a_caller_sent_is_in_a_span(ask: Ask) -> None:
    sent = {
        "traceparent": f"00-{TRACE}-{PARENT}-01",
        "tracestate": f"x={SECRET}",
        "baggage": f"name={SECRET}",
        "x_request_id": SECRET,
        "user_agent": SECRET,
        "host": f"{SECRET}.example",
    }
    for path in (f"/people/{SECRET}?q={SECRET}", f"/{SECRET}", "/people/broken"):
        for span in ask(path, **sent):
            assert SECRET not in span.to_json()
            assert span.events == ()
