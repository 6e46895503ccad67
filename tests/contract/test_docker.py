"""The images, as far as their Dockerfiles tell: what is in them, who runs, what can be pinned."""

import fnmatch
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.contract.dockerfiles import Stage, instructions, stages
from tests.contract.sources import ROOT

DOCKER = ROOT / "docker"
FILES = {"cpu": DOCKER / "Dockerfile", "gpu": DOCKER / "Dockerfile.gpu"}
HEALTH = DOCKER / "health.py"
DIFFER = ("requirements/", "LABEL", "ENV PATH", "HEALTHCHECK")
"""How lines begin, or what they name, in which the two files may differ."""

DATA = "/var/lib/norma /keys /first"
"""What the service's user may write to, where a volume is."""

devices = pytest.mark.parametrize("device", FILES)


def stage(device: str, name: str) -> Stage:
    [found] = [one for one in stages(FILES[device]) if one.name == name]
    return found


def served(device: str) -> Stage:
    return stages(FILES[device])[-1]


@devices
def test_every_base_is_an_argument_and_so_can_be_pinned_s05(device: str) -> None:
    """A digest goes into PYTHON_IMAGE; the default names a version, never "latest"."""
    arguments = [one.rest for one in instructions(FILES[device]) if one.name == "ARG"]
    assert len(arguments) == 1
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+-slim-\w+", arguments[0])
    known: set[str] = {"${PYTHON_IMAGE}"}
    for one in stages(FILES[device]):
        assert one.base in known
        known.add(one.name)
    assert served(device).base == "${PYTHON_IMAGE}", "no build stage is served"


@devices
def test_a_numbered_user_without_rights_runs_it_s05(device: str) -> None:
    last = served(device)
    uid, gid = last.one("USER").split(":")
    assert int(uid) >= 10_000
    assert int(gid) >= 10_000
    after = last.steps[[step.name for step in last.steps].index("USER") :]
    assert {step.name for step in after} <= {"USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


@devices
def test_only_the_data_belongs_to_that_user_s05(device: str) -> None:
    last = served(device)
    assert last.all("RUN") == [f"install -d -o 10001 -g 10001 -m 0700 {DATA}"]
    assert not [rest for rest in last.all("COPY") if "--chown" in rest]


@devices
def test_what_is_served_was_locked_for_serving_s04(device: str) -> None:
    """Neither torch nor onnx, which no serving lock file holds, nor pip, nor a compiler."""
    runs = " && ".join(stage(device, "environment").all("RUN"))
    assert re.findall(r"-r (\S+)", runs) == [f"/requirements/{device}.txt"]
    assert "venv --without-pip /opt/norma" in runs
    sources = [rest.split()[0] for rest in served(device).all("COPY") if "--from" in rest]
    assert sources == ["--from=environment", "--from=packages"]
    assert stage(device, "environment").base == "tools"


@devices
def test_everything_that_is_installed_has_a_known_hash(device: str) -> None:
    steps = [step.rest for one in stages(FILES[device]) for step in one.steps if step.name == "RUN"]
    pips = [command for rest in steps for command in rest.split(" && ") if "/pip " in command]
    assert len(pips) == 6
    for command in pips:
        assert "--no-deps" in command
        assert ("--require-hashes" in command) or ("--no-index" in command)
    assert "PIP_ONLY_BINARY=:all:" in stage(device, "tools").one("ENV")


@devices
def test_nothing_is_fetched_past_the_package_client(device: str) -> None:
    text = "\n".join(f"{one.name} {one.rest}" for one in instructions(FILES[device]))
    assert not re.search(r"\b(ADD|curl|wget|apt|apt-get|apk|git)\b|://|index-url|trusted", text)


@devices
def test_it_starts_and_is_asked_without_a_shell(device: str) -> None:
    last = served(device)
    assert json.loads(last.one("ENTRYPOINT")) == ["norma"]
    assert json.loads(last.one("CMD")) == ["serve"]
    asked = last.one("HEALTHCHECK")
    command = json.loads(asked[asked.index("[") :])
    assert command == ["python", "-I", f"/usr/share/norma/{HEALTH.name}"]
    assert "docker/health.py /usr/share/norma/" in last.all("COPY")


@devices
def test_licences_travel_with_the_weights(device: str) -> None:
    assert "LICENSE docker/licences /usr/share/norma/licences/" in served(device).all("COPY")
    assert "Shiqi Yu" in (DOCKER / "licences" / "weights.txt").read_text()


def test_the_two_images_are_made_alike() -> None:
    files = [[f"{one.name} {one.rest}" for one in instructions(file)] for file in FILES.values()]
    assert len(files[0]) == len(files[1])
    pairs = [pair for pair in zip(*files, strict=True) if pair[0] != pair[1]]
    assert pairs
    for cpu, _ in pairs:
        assert any(cpu.startswith(known) or known in cpu for known in DIFFER), cpu


def test_the_gpu_image_asks_for_cuda_and_for_the_hosts_driver() -> None:
    [settings] = [rest for rest in served("gpu").all("ENV") if "PATH" in rest]
    assert "NORMA_DEVICE=cuda" in settings
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in settings


def allowed() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "nothing is sent to the builder unless it is named"
    return [rule.removeprefix("!") for rule in rules if rule.startswith("!")]


@devices
def test_the_builder_is_sent_what_the_image_is_made_of_and_nothing_else(device: str) -> None:
    copied = {
        source
        for one in stages(FILES[device])
        for rest in one.all("COPY")
        if "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert all((ROOT / source).exists() for source in copied)
    rules = allowed()
    assert {s for s in copied if not any(fnmatch.fnmatch(s, rule) for rule in rules)} == set()
    assert {r for r in rules if not any(fnmatch.fnmatch(s, r) for s in copied)} == set()


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A port on which every GET is answered with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def asked(port: int) -> int:
    return subprocess.run(
        [sys.executable, "-I", str(HEALTH)],
        env={"NORMA_PORT": str(port)},
        check=False,
        capture_output=True,
    ).returncode


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1), (500, 1)])
def test_the_container_is_healthy_when_the_service_is_ready(status: int, expected: int) -> None:
    with answering(status) as port:
        assert asked(port) == expected


def test_the_container_is_not_healthy_where_nothing_answers() -> None:
    with answering(200) as port:
        pass
    assert asked(port) == 1
