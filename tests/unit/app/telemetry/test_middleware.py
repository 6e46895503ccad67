"""Requests are counted by route template, whatever is asked for."""

import asyncio
import logging
from collections.abc import Callable
from threading import Event
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from app.errors import BusyError
from app.http import failures
from app.http.limits import RequestId
from app.telemetry.metrics import Metrics
from app.telemetry.middleware import Measured, exchange
from tests.unit.app.telemetry.conftest import Read

Ask = Callable[..., httpx.Response]


@pytest.fixture
def stopping() -> Event:
    return Event()


@pytest.fixture
def ask(metrics: Metrics, stopping: Event) -> Ask:
    """Asks a small application that is measured."""
    app = FastAPI()
    failures.install(app)

    @app.get("/people/{name}")
    def person(name: str) -> dict[str, float | None]:
        if name == "busy":
            raise BusyError("full")
        if name == "broken":
            raise RuntimeError("broken")
        return {"in_flight": metrics.registry.get_sample_value("norma_http_requests_in_flight")}

    @app.get("/healthz")
    def healthz() -> None:
        return None

    app.add_middleware(Measured, metrics=metrics, stopping=stopping)
    app.add_middleware(RequestId)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    async def asked(path: str, method: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://norma") as client:
            return await client.request(method, path)

    return lambda path, method="GET": asyncio.run(asked(path, method))


def test_a_route_is_counted_by_its_template(ask: Ask, read: Read) -> None:
    for name in ("anna", "bert"):
        ask(f"/people/{name}")
    labels = {"method": "GET", "route": "/people/{name}"}
    assert read("norma_http_requests_total", **labels, status="200") == 2
    assert read("norma_http_request_seconds_count", **labels) == 2


def test_paths_of_no_route_and_odd_methods_make_no_labels(
    ask: Ask, metrics: Metrics, read: Read
) -> None:
    for n in range(20):
        ask(f"/nowhere/{n}")
        ask("/people/anna", f"M{n}")
    assert read("norma_http_requests_total", method="GET", route="unmatched", status="404") == 20
    labels = {"method": "other", "route": "/people/{name}"}
    assert read("norma_http_requests_total", **labels, status="405") == 20
    series = [
        s for f in metrics.registry.collect() for s in f.samples if "requests_total" in s.name
    ]
    assert len(series) == 2


def test_refusals_are_counted_by_their_code(ask: Ask, read: Read) -> None:
    ask("/people/busy")
    ask("/nowhere")
    assert read("norma_refusals_total", code="overloaded") == 1
    assert read("norma_refusals_total", code="not_found") == 1


def test_what_fails_unexpectedly_is_a_500(ask: Ask, read: Read) -> None:
    ask("/people/broken")
    labels = {"method": "GET", "route": "/people/{name}"}
    assert read("norma_http_requests_total", **labels, status="500") == 1
    assert read("norma_refusals_total", code="internal_error") == 1


def test_what_fails_unexpectedly_says_which_request_it_was(ask: Ask) -> None:
    answer = ask("/people/broken")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.headers["cache-control"] == "no-store"


def test_requests_in_flight_are_those_not_answered_yet(ask: Ask, read: Read) -> None:
    assert ask("/people/anna").json() == {"in_flight": 1}
    ask("/people/broken")
    assert read("norma_http_requests_in_flight") == 0


def test_answers_close_their_connections_once_the_service_is_to_end(
    ask: Ask, stopping: Event
) -> None:
    assert "connection" not in ask("/people/anna").headers
    stopping.set()
    answer = ask("/people/anna")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_each_request_is_one_line_that_names_nobody(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "norma.access"):
        ask("/people/busy")
        ask("/healthz")
    [busy, health] = [record for record in caplog.records if record.name == "norma.access"]
    fields = busy.__dict__["fields"]
    assert fields.pop("ms") >= 0
    assert len(fields.pop("request_id")) == 32
    assert fields == {
        "method": "GET",
        "route": "/people/{name}",
        "status": 503,
        "code": "overloaded",
        "key_id": None,
        "trace_id": None,
    }
    assert busy.levelname == "INFO"
    assert health.levelname == "DEBUG"


def test_the_key_of_the_caller_is_told_by_its_id() -> None:
    scope = {"method": "GET", "state": {"caller": SimpleNamespace(key_id="k7", owner="anna")}}
    assert exchange(scope, 200, 0.1).key_id == "k7"
