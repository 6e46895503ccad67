"""F27, F28, F36: clients that leave, and proxies that ask again, against a running service."""

import socket
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from benchmarks.served import started
from tests.conftest import Faces

WHERE = "/v1/galleries/staff/subjects"
QUEUE = 4


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "log"


@pytest.fixture(scope="module")
def api(
    data_dir: Path, log: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A service with little room, whose log is kept."""
    home = tmp_path_factory.mktemp("clients")
    (home / "packages").symlink_to(data_dir / "packages")
    with (
        log.open("wb") as file,
        started(data_dir=str(home), queue=str(QUEUE), output=file.fileno()) as served,
        httpx.Client(base_url=served.url, timeout=60) as client,
    ):
        client.post("/v1/galleries", json={"name": "staff"}).raise_for_status()
        yield client


def leave(api: httpx.Client, path: str, photo: bytes, *headers: str, cut: int = 0) -> None:
    """Send a request, less its last `cut` bytes, and go without waiting for the answer."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: multipart/form-data;"]
    lines[-1] += " boundary=B"
    body = b'--B\r\nContent-Disposition: form-data; name="image"\r\n\r\n%b\r\n--B--' % photo
    head = "\r\n".join([*lines, *headers, f"Content-Length: {len(body)}", "", ""]).encode()
    with socket.create_connection((str(api.base_url.host), api.base_url.port or 0)) as raw:
        raw.sendall((head + body)[: len(head) + len(body) - cut])


def test_F27_who_leaves_takes_no_place_along(api: httpx.Client, log: Path, faces: Faces) -> None:
    """Many more than there are places, before the body's end and after it; then all are free."""
    for number in range(40):
        leave(api, "/v1/embed", faces.portrait, cut=(0, 1, 5000)[number % 3])
    photo = {"image": faces.portrait}
    for _ in range(100):
        if api.post("/v1/embed", files=photo).status_code == 200:
            break
    with ThreadPoolExecutor(QUEUE) as pool:
        answers = list(pool.map(lambda _: api.post("/v1/embed", files=photo), range(2 * QUEUE)))
    assert [answer.status_code for answer in answers] == [200] * 2 * QUEUE
    assert "Traceback" not in log.read_text()


def test_F28_an_enrolment_whose_client_left_is_there_once(api: httpx.Client, faces: Faces) -> None:
    where = f"{WHERE}/anna/faces"
    for number in range(3):
        key = f"left-{number}"
        leave(api, where, faces.portrait, f"Idempotency-Key: {key}")
        again = api.post(where, files={"image": faces.portrait}, headers={"idempotency-key": key})
        assert again.status_code == 201, again.text
        assert api.get(f"{WHERE}/anna").json()["faces"] == number + 1


def test_F36_a_proxy_that_asks_three_times_enrols_once(api: httpx.Client, faces: Faces) -> None:
    headers = {"idempotency-key": uuid.uuid4().hex}
    start = threading.Barrier(3)

    def enrol(_: int) -> httpx.Response:
        start.wait()
        return api.post(f"{WHERE}/bea/faces", files={"image": faces.other}, headers=headers)

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(enrol, range(3)))
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["faces"][0]["id"] for answer in answers}) == 1
    assert sorted(answer.json()["repeated"] for answer in answers) == [False, True, True]
    assert api.get(f"{WHERE}/bea").json()["faces"] == 1
