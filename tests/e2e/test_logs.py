"""P06: what a running service writes into its log, and what it does not."""

import base64
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.served import started
from tests.conftest import Faces

SECRET = "anna-k-1984"  # noqa: S105 - a name that must not be told
KEY = "norma_abcdefgh_s3cr3ts3cr3ts3cr3t"
HEADERS = {
    "authorization": f"Bearer {KEY}",
    "user-agent": SECRET,
    "idempotency-key": SECRET,
    "cookie": SECRET,
    "referer": f"http://{SECRET}.example/",
    "x-forwarded-for": "203.0.113.77",
}


@contextmanager
def logging_service(log: Path, data: Path, **settings: str) -> Iterator[str]:
    """A service whose output goes to a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with started(output=descriptor, data_dir=str(data), **settings) as served:
        os.close(descriptor)
        yield served.url


@pytest.fixture(scope="module")
def own(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of its own, on the default packages."""
    directory = tmp_path_factory.mktemp("own")
    (directory / "packages").symlink_to(data_dir / "packages")
    return directory


def feature(api: httpx.Client, faces: Faces) -> str:
    answer = api.post("/v1/embed", files={"image": faces.other}, params={"encoding": "base64"})
    text: str = answer.json()["feature"]
    return text


def use_oddly(api: httpx.Client, faces: Faces) -> str:
    """Names, features and keys wherever a request can carry them; the feature that was seen."""
    seen = feature(api, faces)
    gallery = f"/v1/galleries/{SECRET}"
    api.post("/v1/galleries", json={"name": SECRET, "identify": True})
    api.post("/v1/galleries", json={"name": SECRET, "identify": True})
    api.post(f"{gallery}/subjects/{SECRET}/faces", files={SECRET: faces.portrait}, headers=HEADERS)
    api.post(f"{gallery}/subjects/{SECRET}/faces", files={SECRET: faces.landscape})
    api.post(f"{gallery}/search", json={"feature": seen, "contract_id": SECRET})
    api.post(f"{gallery}/search", json={"feature": seen, SECRET: 1})
    api.post(f"{gallery}/identify", files={"image": faces.other[:3000]}, params={"q": SECRET})
    api.get(f"/{SECRET}?name={SECRET}", headers=HEADERS)
    api.get(f"/v1/models?key={KEY}")
    api.delete(f"{gallery}/subjects/{SECRET}")
    api.delete(f"{gallery}/subjects/{SECRET}")
    port = api.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        raw.sendall(f"{SECRET} / {SECRET}\r\n\r\n".encode())
        raw.recv(4096)
    return seen


def test_P06_the_log_holds_a_line_a_request_and_no_name_key_or_feature(
    own: Path, tmp_path: Path, faces: Faces
) -> None:
    log = tmp_path / "log"
    with (
        logging_service(log, own, log_level="debug") as url,
        httpx.Client(base_url=url, timeout=60) as api,
    ):
        seen = use_oddly(api, faces)
    text = log.read_text()
    numbers = np.frombuffer(base64.b64decode(seen), "<f4")
    for told in (SECRET, KEY, "s3cr3t", seen[:20], f"{numbers[0]:.5f}", "203.0.113.77"):
        assert told not in text
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["logger"] == "norma.access"]
    asked = [one["route"] for one in requests if one["route"] not in ("/readyz", "/healthz")]
    assert len(asked) == 12
    assert asked.count("unmatched") == 1
    assert {len(one["request_id"]) for one in requests} == {32}
    assert [one["level"] for one in requests if one["route"] == "/readyz"][-1] == "debug"


def test_text_is_for_people(own: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with logging_service(log, own, log_format="text") as url:
        httpx.get(f"{url}/v1/models")
    lines = log.read_text().splitlines()
    assert any("norma: detector yunet-2023mar" in line and "(MIT)" in line for line in lines)
    [access] = [line for line in lines if "norma.access" in line and "/v1/models" in line]
    assert "INFO" in access
    assert "method=GET route=/v1/models status=200 ms=" in access
    assert any("/readyz" in line for line in lines) is False
