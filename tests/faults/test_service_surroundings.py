"""F34, F35: what a running service does without: the network, and somebody who reads its log."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.served import started
from tests.conftest import Faces
from tests.faults.metrics import free_port, until, value

SERVE = "from app.cli import main; main()"
LONELY = """
import sys
def watch(event, arguments):
    outward = event == "socket.connect" and arguments[1][0] not in ("127.0.0.1", "::1")
    asking = event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", b"127.0.0.1")
    if outward or asking or event.startswith("socket.gethostby"):
        with open({noted!r}, "a") as file:
            file.write(f"{{event}} {{arguments[-1]}}\\n")
        raise OSError("there is no network")
sys.addaudithook(watch)
"""


@pytest.fixture
def own_dir(data_dir: Path, tmp_path: Path) -> Path:
    """A data directory of its own, on the default packages."""
    (tmp_path / "packages").symlink_to(data_dir / "packages")
    return tmp_path


def use(url: str, faces: Faces) -> None:
    """Create, enrol, identify, verify, list."""
    with httpx.Client(base_url=url, timeout=60) as api:
        api.post("/v1/galleries", json={"name": "staff", "identify": True}).raise_for_status()
        gallery = "/v1/galleries/staff"
        api.post(
            f"{gallery}/subjects/anna/faces", files={"image": faces.portrait}
        ).raise_for_status()
        found = api.post(f"{gallery}/identify", files={"image": faces.portrait_again}).json()
        assert found["faces"][0]["candidates"][0]["subject"]["id"] == "anna"
        pair = {"image_a": faces.portrait, "image_b": faces.portrait_again}
        assert api.post("/v1/verify", files=pair).json()["match"] is True
        assert api.get("/v1/models").status_code == 200
        assert api.get("/docs").status_code == 200


def test_F34_nothing_outside_the_machine_is_asked_for(
    own_dir: Path, tmp_path: Path, faces: Faces
) -> None:
    noted = tmp_path / "noted"
    command = (sys.executable, "-c", LONELY.format(noted=str(noted)) + SERVE, "serve")
    port = str(free_port())
    with started(command=command, data_dir=str(own_dir), metrics_port=port) as served:
        use(served.url, faces)
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 200
    assert not noted.exists(), noted.read_text()


def test_F35_a_full_disk_under_the_log_does_not_stop_the_service(
    own_dir: Path, faces: Faces
) -> None:
    port = str(free_port())
    full = os.open("/dev/full", os.O_WRONLY)
    with started(output=full, data_dir=str(own_dir), metrics_port=port) as served:
        os.close(full)
        use(served.url, faces)
        metrics = f"http://127.0.0.1:{port}/metrics"
        until(lambda: value(metrics, "norma_log_lines_lost_total") > 10)
        served.process.terminate()
        assert served.process.wait(timeout=60) == 0


def test_F35_closed_output_neither_stops_the_service_nor_ends_up_in_its_files(
    own_dir: Path, faces: Faces
) -> None:
    """Without descriptor 1 the next file to be opened would get it: the database's."""
    shut = 'exec "$0" -c "$1" serve <&- >&- 2>&-'
    command = ("sh", "-c", shut, sys.executable, SERVE)
    with started(command=command, data_dir=str(own_dir)) as served:
        use(served.url, faces)
        served.process.terminate()
        assert served.process.wait(timeout=60) == 0
    logged = subprocess.run(
        ["grep", "-rlE", "norma.access|serving http", own_dir / "gallery"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert logged.stdout == ""


def test_F35_a_reader_that_goes_away_does_not_stop_the_service(own_dir: Path, faces: Faces) -> None:
    reader, writer = os.pipe()
    with started(output=writer, data_dir=str(own_dir)) as served:
        for end in (reader, writer):
            os.close(end)
        use(served.url, faces)
        served.process.terminate()
        assert served.process.wait(timeout=60) == 0
