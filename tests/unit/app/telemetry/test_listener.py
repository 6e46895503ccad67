"""The metrics' own port answers /metrics and nothing else."""

import socket

import httpx
import pytest

from app.errors import StartError
from app.telemetry.listener import listening
from app.telemetry.metrics import Metrics


def test_it_answers_on_its_own_port_until_it_is_closed(metrics: Metrics) -> None:
    metrics.batch("detector", 3)
    with listening(metrics.registry, "127.0.0.1", 0) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        assert 'norma_batch_items_sum{network="detector"} 3.0' in answer.text
        assert httpx.get(f"http://127.0.0.1:{port}/metrics?x=1").status_code == 200
        for path in ("/", "/metricsx", "/healthz"):
            assert httpx.get(f"http://127.0.0.1:{port}{path}").status_code == 404
        assert httpx.post(f"http://127.0.0.1:{port}/metrics").status_code == 501
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_it_speaks_openmetrics_where_asked(metrics: Metrics) -> None:
    with listening(metrics.registry, "127.0.0.1", 0) as port:
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=accept)
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")


def test_a_taken_port_refuses_the_start(metrics: Metrics) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(StartError, match=f"NORMA_METRICS_PORT={port} cannot be had"),
            listening(metrics.registry, "127.0.0.1", port),
        ):
            pass


def test_connections_that_say_nothing_hold_nobody_up(metrics: Metrics) -> None:
    with (
        listening(metrics.registry, "127.0.0.1", 0) as port,
        socket.create_connection(("127.0.0.1", port)),
        socket.create_connection(("127.0.0.1", port)),
    ):
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 200
