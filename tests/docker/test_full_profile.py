"""TLS, deadlines and limits before the service; metrics, alerts and the dashboard behind it."""

import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.conftest import Faces
from tests.contract.test_compose import questions, service
from tests.docker import bases
from tests.docker.deployment import Deployment, free_port
from tests.docker.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

ASK = """
import json
from urllib.request import urlopen
answers = [json.load(urlopen("http://prometheus:9090/api/v1/" + p, timeout=20)) for p in {paths}]
print(json.dumps([answer["data"] for answer in answers]))
"""
OWNED = 'RUN install -d -o 65534 -g 65534 /prometheus\nENTRYPOINT ["prometheus"]\n'
TRIES = 90


def default_image(name: str) -> str:
    """The image that the compose file names where nobody chose another."""
    [image] = re.findall(r":-(.*)\}$", service(name)["image"])
    return str(image)


@pytest.fixture(scope="module")
def certificate(home: Path) -> Path:
    """As `prepare.sh` makes it."""
    subprocess.run([str(home / "prepare.sh"), "localhost"], check=True, capture_output=True)
    return home / "secrets" / "tls.pem"


@pytest.fixture(scope="module")
def full(engine: Engine, image: str, home: Path, certificate: Path) -> Iterator[Deployment]:
    """The service with proxy and Prometheus."""
    ports = ("NORMA_PUBLISHED_PORT", "TLS_PORT", "HTTP_PORT", "GRAFANA_PORT")
    env = {name: free_port() for name in ports} | {"NORMA_IMAGE": image}
    env["PROXY_IMAGE"] = bases.other(engine, default_image("proxy"), "haproxy")
    env["PROMETHEUS_IMAGE"] = bases.other(
        engine, default_image("prometheus"), "prometheus", more=OWNED
    )
    files = ("compose.yaml", "compose.full.yaml")
    running = Deployment(engine, "norma-test-full", home, files, env)
    running.down()
    try:
        running.up("proxy", "prometheus")
        yield running
    finally:
        running.down()


@pytest.fixture(scope="module")
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@pytest.fixture
def outside(full: Deployment, trusting: ssl.SSLContext) -> Iterator[httpx.Client]:
    """A caller from elsewhere, over TLS, with a key."""
    url = f"https://localhost:{full.env['TLS_PORT']}"
    headers = {"Authorization": f"Bearer {full.key()}"}
    with httpx.Client(base_url=url, verify=trusting, headers=headers, timeout=60) as client:
        _until(lambda: client.get("/readyz").status_code == 200)
        yield client


def _until(true: Callable[[], object]) -> None:
    for _ in range(TRIES):
        if true():
            return
        time.sleep(1)
    raise AssertionError("it did not become true")


def ask(full: Deployment, *paths: str) -> list[dict[str, Any]]:
    """What Prometheus answers within the networks; it is published nowhere."""
    answers: list[dict[str, Any]] = json.loads(full.inside(ASK.format(paths=paths)))
    return answers


@contextmanager
def connected(full: Deployment, trusting: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """A bare connection to the proxy."""
    address = ("localhost", int(full.env["TLS_PORT"]))
    with (
        socket.create_connection(address, timeout=60) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        yield wrapped


def test_photos_come_in_over_tls_alone(
    full: Deployment, outside: httpx.Client, faces: Faces
) -> None:
    pair = {"image_a": faces.portrait, "image_b": faces.portrait_again}
    assert outside.post("/v1/verify", files=pair).json()["verdict"] == "match"
    plain = httpx.get(f"http://127.0.0.1:{full.env['HTTP_PORT']}/readyz")
    assert plain.status_code == 308
    assert plain.headers["location"].startswith("https://")


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/v1/embed", Settings().max_many_bytes),
        ("/v1/galleries/people/imports", Settings().max_import_bytes),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_sent(
    full: Deployment, outside: httpx.Client, trusting: ssl.SSLContext, path: str, most: int
) -> None:
    head = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n"
    answers = []
    for length in (most, most + 1):
        with connected(full, trusting) as caller:
            caller.sendall(head.format(path, length).encode())
            answers.append(caller.recv(2000))
    # The service's own word, to whom no key was sent, and then the proxy's.
    assert answers[0].startswith(b"HTTP/1.1 401 ")
    assert answers[1].startswith(b"HTTP/1.1 413 ")
    assert b'"body_too_large"' in answers[1]


def test_a_head_that_does_not_end_is_not_waited_for(
    full: Deployment, outside: httpx.Client, trusting: ssl.SSLContext
) -> None:
    """A line a second keeps no connection open: the deadline is the whole head's."""
    answer = b""
    with connected(full, trusting) as slow:
        slow.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n")
        slow.settimeout(1)
        for n in range(60):
            try:
                answer = slow.recv(200)
                break
            except TimeoutError:
                slow.sendall(b"X-Line-%d: more\r\n" % n)
    assert b" 408 " in answer


def test_one_address_cannot_hold_all_connections(
    full: Deployment, outside: httpx.Client, trusting: ssl.SSLContext
) -> None:
    address = ("localhost", int(full.env["TLS_PORT"]))
    held: list[ssl.SSLSocket] = []
    refused = False
    while not refused and len(held) < 100:
        try:
            plain = socket.create_connection(address)
            held.append(trusting.wrap_socket(plain, server_hostname="localhost"))
        except OSError:  # reset or closed, before the handshake or within it
            refused = True
            plain.close()
    for one in held:
        one.close()
    assert 30 < len(held) <= 64
    _until(lambda: outside.get("/readyz").status_code == 200)


def test_the_proxys_log_names_nobody(
    engine: Engine, full: Deployment, outside: httpx.Client
) -> None:
    outside.get("/v1/galleries/staff/subjects/anna-k-1984")
    log = full.compose("logs", "proxy")
    assert "GET 404" in log
    assert "anna" not in log
    assert "staff" not in log


def test_prometheus_collects_from_all_of_them(full: Deployment, outside: httpx.Client) -> None:
    def all_up() -> bool:
        [found] = ask(full, "query?query=up")
        return {(one["metric"]["job"], one["value"][1]) for one in found["result"]} == {
            ("norma", "1"),
            ("proxy", "1"),
            ("prometheus", "1"),
        }

    _until(all_up)
    [found] = ask(full, "rules")
    rules = [rule for group in found["groups"] for rule in group["rules"]]
    assert len(rules) == 7
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


def test_prometheus_understands_every_question(
    full: Deployment, outside: httpx.Client, faces: Faces
) -> None:
    """And has an answer to those about the proxy, whose metrics are not ours."""
    asked = [question.replace("$__rate_interval", "1m") for question in questions()]
    paths = [f"query?{httpx.QueryParams({'query': question})}" for question in asked]
    assert {answer["resultType"] for answer in ask(full, *paths)} == {"vector"}
    about_it = [path for path in paths if "haproxy" in path]
    assert len(about_it) == 3
    _until(lambda: all(answer["result"] for answer in ask(full, *about_it)))


def test_the_dashboard_is_there(engine: Engine, full: Deployment, home: Path) -> None:
    """With Grafana itself, where its image can be had."""
    if not bases.obtained(engine, default_image("grafana")):
        pytest.skip("Grafana's image cannot be pulled, and Debian has no package of it")
    full.up("grafana")
    url = f"http://127.0.0.1:{full.env['GRAFANA_PORT']}"
    password = (home / "secrets" / "grafana").read_text()
    with httpx.Client(base_url=url, auth=("admin", password)) as grafana:
        _until(lambda: _answers(grafana, "/api/health"))
        assert grafana.get("/api/dashboards/uid/norma").json()["dashboard"]["title"] == "Norma"
        source = grafana.get("/api/datasources/uid/prometheus/health")
        assert source.json()["status"] == "OK"


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False
