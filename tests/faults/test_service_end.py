"""F08: a running service that is asked to end, with its hands full."""

import base64
import json
import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.served import Served, started
from tests.faults.metrics import free_port, until

GALLERY = "/v1/galleries/staff"
CLIENTS = 6


@pytest.fixture
def own_dir(data_dir: Path, tmp_path: Path) -> Path:
    """A data directory of its own, on the default packages."""
    (tmp_path / "packages").symlink_to(data_dir / "packages")
    return tmp_path


@contextmanager
def serving(own_dir: Path, **settings: str) -> Iterator[tuple[Served, str]]:
    """The service, and the URL of its metrics."""
    port = free_port()
    with started(data_dir=str(own_dir), metrics_port=str(port), **settings) as served:
        yield served, f"http://127.0.0.1:{port}/metrics"


def enrolment(seed: int, contract_id: str) -> dict[str, object]:
    feature = np.random.default_rng(seed).standard_normal(128).astype("<f4")
    text = base64.b64encode(feature.tobytes()).decode()
    return {"contract_id": contract_id, "features": [{"feature": text}]}


@dataclass(slots=True)
class Storm:
    """Clients that enrol one subject after another until nobody answers any more."""

    url: str
    contract_id: str
    acknowledged: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    refused: list[int] = field(default_factory=list)

    def run(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def _client(self, number: int) -> None:
        rng = random.Random(number)
        with httpx.Client(base_url=self.url, timeout=60) as api:
            while True:
                seed = rng.randrange(10**9)
                key = f"s{number}-{seed}"
                try:
                    answer = api.post(
                        f"{GALLERY}/subjects/{key}/faces/features",
                        json=enrolment(seed, self.contract_id),
                    )
                except httpx.TransportError:
                    self.doubtful.add(key)
                    return
                if answer.status_code == 201:
                    self.acknowledged.add(key)
                else:
                    self.refused.append(answer.status_code)


def begun(url: str, contract_id: str) -> tuple[socket.socket, bytes]:
    """An enrolment of which only half has been sent, and the other half."""
    body = json.dumps(enrolment(1, contract_id)).encode()
    port = int(url.rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = (
        f"POST {GALLERY}/subjects/slow/faces/features HTTP/1.1\r\nhost: localhost\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body[:100])
    return connection, body[100:]


def answer_of(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def test_F08_sigterm_under_load_loses_nothing(own_dir: Path) -> None:
    with serving(own_dir) as (served, metrics), httpx.Client(base_url=served.url) as api:
        contract_id = api.get("/v1/models").json()["models"][1]["contract_id"]
        spec = {"name": "staff", "identify": True, "conflict": "off"}
        api.post("/v1/galleries", json=spec).raise_for_status()
        connection, rest = begun(served.url, contract_id)
        until(lambda: "norma_http_requests_in_flight 1.0" in httpx.get(metrics).text)
        storm = Storm(served.url, contract_id)
        clients = storm.run()
        until(lambda: len(storm.acknowledged) >= 50)
        served.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.join()
        connection.sendall(rest)
        answer = answer_of(connection)
        assert answer.startswith(b"HTTP/1.1 201 "), "what was in flight is answered"
        assert b"connection: close" in answer.partition(b"\r\n\r\n")[0].lower()
        connection.close()
        assert served.process.wait(timeout=60) == 0
        with pytest.raises(httpx.ConnectError):
            api.get("/healthz")
    assert storm.refused == []
    expect_enrolled(own_dir, storm.acknowledged | {"slow"}, storm.doubtful)


def expect_enrolled(own_dir: Path, certain: set[str], doubtful: set[str]) -> None:
    """After a new start: everybody acknowledged, perhaps who was in doubt, and nobody else."""
    found: set[str] = set()
    with serving(own_dir) as (served, _), httpx.Client(base_url=served.url) as api:
        cursor: str | None = None
        while True:
            page = api.get(
                f"{GALLERY}/subjects",
                params={"limit": 1000} | ({"cursor": cursor} if cursor else {}),
            ).json()
            found |= {one["id"] for one in page["subjects"] if one["faces"] == 1}
            cursor = page["next_cursor"]
            if not cursor:
                break
    assert certain <= found
    assert found - certain <= doubtful


def test_F08_while_draining_it_is_not_ready_and_still_serves(own_dir: Path) -> None:
    with serving(own_dir, drain="3") as (served, _), httpx.Client(base_url=served.url) as api:
        served.process.send_signal(signal.SIGTERM)
        until(lambda: api.get("/readyz").status_code == 503)
        answers = [api.get(path) for path in ("/readyz", "/healthz", "/v1/models")]
        assert [one.status_code for one in answers] == [503, 200, 200]
        assert answers[0].json()["error"]["code"] == "not_ready"
        assert {one.headers["connection"] for one in answers} == {"close"}
        assert served.process.wait(timeout=60) == 0
