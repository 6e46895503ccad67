"""One deployment by the compose files: a project of its own, on ports of its own."""

import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.contract.sources import ROOT
from tests.docker.engine import Engine, output

HALF_SECONDS = 240
"""How long a container may take to become healthy."""
FOLDERS = ("app", "export", "models", "requirements", "docker")
FILES = ("LICENSE", "README.md", "pyproject.toml", ".dockerignore")
NOT_OURS = shutil.ignore_patterns("__pycache__", "secrets", ".env", "*.onnx")


@dataclass(frozen=True, slots=True)
class Deployment:
    """`home` is the folder of the compose files; `env` are the variables that they ask for."""

    engine: Engine
    project: str
    home: Path
    files: tuple[str, ...]
    env: dict[str, str]

    def compose(self, *arguments: str, stdin: bytes = b"") -> str:
        """What `docker compose …` prints."""
        return self.read(*arguments, stdin=stdin).decode()

    def read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """As `compose`, in bytes."""
        files = [part for name in self.files for part in ("-f", str(self.home / name))]
        command = (*self.engine.compose, "-p", self.project, *files, *arguments)
        return output(command, stdin, self.env)

    def up(self, *services: str) -> None:
        self.compose("up", "-d", "--no-build", *services)
        self.wait()

    def down(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "20")

    def container(self, service: str = "norma") -> str:
        """Its id."""
        return self.compose("ps", "-q", service).strip()

    def wait(self) -> None:
        """Until the service's container calls itself healthy."""
        container = self.container()
        for _ in range(HALF_SECONDS):
            state = self.engine.inspect(container)["State"]
            if state["Health"]["Status"] == "healthy":
                return
            if not state["Running"]:
                break
            time.sleep(0.5)
        raise AssertionError(self.engine.docker("logs", container))

    def inside(self, code: str) -> str:
        """What Python prints in the running service's container."""
        return self.compose("exec", "-T", "norma", "python", "-c", code)

    def key(self) -> str:
        """The first key, as the README reads it."""
        return self.compose("run", "--rm", "-T", "first-key", "cat", "/first/key").strip()

    def client(self, key: str) -> httpx.Client:
        url = f"http://127.0.0.1:{self.env['NORMA_PUBLISHED_PORT']}"
        return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def copied(engine: Engine, where: Path) -> Path:
    """The folder of the compose files in a copy of the sources, as in a fresh clone.

    For compose v1, which does not know `name:`, without that line.
    """
    for name in FOLDERS:
        shutil.copytree(ROOT / name, where / name, ignore=NOT_OURS)
    for name in FILES:
        shutil.copyfile(ROOT / name, where / name)
    if engine.compose_v1:
        file = where / "docker" / "compose.yaml"
        file.write_text(file.read_text().replace("name: norma\n", "", 1))
    return where / "docker"


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
