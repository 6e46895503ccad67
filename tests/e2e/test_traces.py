"""Spans on their way to a collector, over a real socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Thread

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.served import running, started
from tests.conftest import Faces

SECRET = "anna-k-1984"  # noqa: S105 - a name that must not be told


class Collector(ThreadingTCPServer):
    """Keeps what is sent to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Not of interest."""


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def test_a_trace_of_enrolment_and_search_arrives_and_names_nobody(
    data_dir: Path, tmp_path: Path, faces: Faces
) -> None:
    (tmp_path / "packages").symlink_to(data_dir / "packages")
    with collecting() as collector:
        endpoint = f"http://127.0.0.1:{collector.server_address[1]}"
        with (
            running(data_dir=str(tmp_path), traces=endpoint) as url,
            httpx.Client(base_url=url, timeout=60, headers={"x-request-id": SECRET}) as api,
        ):
            api.post("/v1/galleries", json={"name": SECRET, "identify": True}).raise_for_status()
            gallery = f"/v1/galleries/{SECRET}"
            photo = {"image": faces.portrait}
            api.post(f"{gallery}/subjects/{SECRET}/faces", files=photo).raise_for_status()
            api.post(f"{gallery}/identify", files=photo).raise_for_status()
    spans = {}
    for path, body in collector.received:
        assert path == "/v1/traces"
        assert SECRET.encode() not in body
        sent = ExportTraceServiceRequest.FromString(body)
        for span in sent.resource_spans[0].scope_spans[0].spans:
            spans[span.span_id] = span
    [identify] = [s for s in spans.values() if s.name == "POST /v1/galleries/{gallery}/identify"]
    children = [s.name for s in spans.values() if s.parent_span_id == identify.span_id]
    assert sorted(children) == ["align", "decode", "detect", "embed", "search"]


def test_a_collector_that_is_not_there_changes_nothing(data_dir: Path, faces: Faces) -> None:
    with started(data_dir=str(data_dir), traces="http://127.0.0.1:9") as served:
        pair = {"image_a": faces.portrait, "image_b": faces.portrait_again}
        answer = httpx.post(f"{served.url}/v1/verify", files=pair, timeout=60)
        assert answer.json()["match"] is True
        served.process.terminate()
        assert served.process.wait(timeout=60) == 0
