"""What a running service tells Prometheus, and what it does not."""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.served import running
from tests.conftest import Faces

SECRET = "anna-k-1984"  # noqa: S105 - a name that must not be told
LABELS = {"method", "route", "status", "code", "stage", "queue", "reason", "network", "use"} | {
    *("cause", "contract", "kind", "le", "generation", "outcome", "quantity"),
    *("version", "detector", "recogniser", "contract_id", "provider"),
    *("implementation", "major", "minor", "patchlevel"),
}
"""Every label there is; each has few values, and none names a person, a gallery or a key."""

Page = Callable[[], str]


@pytest.fixture(scope="module")
def busy(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The API's and the metrics' URL of a service of its own."""
    own = tmp_path_factory.mktemp("own")
    (own / "packages").symlink_to(data_dir / "packages")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with running(data_dir=str(own), metrics_port=port) as url:
        yield url, f"http://127.0.0.1:{port}/metrics"


@pytest.fixture(scope="module")
def page(busy: tuple[str, str], faces: Faces) -> str:
    """The metrics after somebody was enrolled, found and asked about in odd ways."""
    url, metrics = busy
    gallery = f"/v1/galleries/{SECRET}"
    with httpx.Client(base_url=url, timeout=60, headers={"x-request-id": SECRET}) as api:
        api.post("/v1/galleries", json={"name": SECRET, "identify": True}).raise_for_status()
        enrolled = api.post(
            f"{gallery}/subjects/{SECRET}/faces?create=true", files={"image": faces.portrait}
        )
        enrolled.raise_for_status()
        api.post(f"{gallery}/identify", files={"image": faces.other}).raise_for_status()
        for path in (f"/{SECRET}", f"/v1/galleries/{SECRET}x", f"/v1/{SECRET}/verify"):
            assert api.get(path).status_code == 404
        damaged = api.post(
            "/v1/embed", content=faces.other[:2000], headers={"content-type": "image/jpeg"}
        )
        assert damaged.status_code == 422
        with socket.create_connection(("127.0.0.1", api.base_url.port or 0), timeout=30) as raw:
            raw.sendall(f"{SECRET}\r\n\r\n".encode())
            assert raw.recv(4096).startswith(b"HTTP/1.1 400 ")
    return httpx.get(metrics).text


def value(page: str, sample: str) -> float:
    [found] = re.findall(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE)
    return float(found)


def test_requests_stages_and_refusals_are_counted(page: str) -> None:
    route = "/v1/galleries/{gallery}/identify"
    labels = f'{{method="POST",route="{route}",status="200"}}'
    assert value(page, f"norma_http_requests_total{labels}") == 1
    assert value(page, 'norma_refusals_total{code="image_undecodable"}') == 1
    assert value(page, 'norma_refusals_total{code="request_malformed"}') == 1
    assert 'norma_images_undecodable_total{cause="' in page
    for stage, times in {"decode": 2, "detect": 2, "align": 2, "embed": 2, "search": 1}.items():
        assert value(page, f'norma_stage_seconds_count{{stage="{stage}"}}') == times
    assert value(page, 'norma_queue_wait_seconds_count{queue="workers"}') == 3


def test_faces_searches_and_galleries_are_counted(page: str) -> None:
    assert value(page, 'norma_face_quality_count{use="enrol"}') == 1
    assert value(page, 'norma_face_quality_count{use="query"}') == 1
    assert value(page, 'norma_identify_top_score_count{outcome="nobody"}') == 1
    assert value(page, 'norma_enrolled_faces{contract="current"}') == 1
    assert value(page, 'norma_enrolled_subjects{contract="current"}') == 1


def test_queues_are_empty_again(page: str) -> None:
    assert value(page, "norma_ready") == 1
    for queue in ("workers", "gallery"):
        assert value(page, f'norma_queue_waiting{{queue="{queue}"}}') == 0
        assert value(page, f'norma_queue_running{{queue="{queue}"}}') == 0
        assert value(page, f'norma_queue_places{{queue="{queue}"}}') > 1


def test_P06_A07_no_name_is_told(page: str) -> None:
    assert SECRET not in page
    assert set(re.findall(r'[{,](\w+)="', page)) <= LABELS


def test_A16_the_apis_port_has_no_metrics(busy: tuple[str, str]) -> None:
    assert httpx.get(f"{busy[0]}/metrics").status_code == 404
    assert "/metrics" not in httpx.get(f"{busy[0]}/openapi.json").json()["paths"]


def test_A16_metrics_are_off_unless_asked_for(api: httpx.Client) -> None:
    assert api.get("/metrics").status_code == 404
