"""The Docker client and its compose, as commands."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HALF_AN_HOUR = 1800


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers. `compose` is the command of compose v2, or that of v1."""

    compose: tuple[str, ...]

    @property
    def compose_v1(self) -> bool:
        return self.compose == ("docker-compose",)

    def docker(self, *arguments: str, stdin: bytes = b"") -> str:
        """What `docker …` prints. Raises AssertionError with its complaint where it fails."""
        return output(("docker", *arguments), stdin).decode()

    def tries(self, *arguments: str) -> bool:
        """Whether `docker …` ends well."""
        return _ended(("docker", *arguments)).returncode == 0

    def inspect(self, what: str) -> dict[str, Any]:
        [found] = json.loads(self.docker("inspect", what))
        return dict(found)

    def has(self, image: str) -> bool:
        return self.tries("image", "inspect", image)


def find() -> Engine | str:
    """The engine, or why there is none."""
    if shutil.which("docker") is None:
        return "there is no docker client"
    if _ended(("docker", "version")).returncode:
        return "no Docker engine answers"
    if _ended(("docker", "compose", "version")).returncode == 0:
        return Engine(("docker", "compose"))
    if shutil.which("docker-compose"):
        return Engine(("docker-compose",))
    return "there is no docker compose"


def output(
    command: tuple[str, ...], stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> bytes:
    """What a command prints. Raises AssertionError with its complaint where it fails."""
    ended = _ended(command, stdin, env)
    assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stderr.decode()[-4000:]}"
    return ended.stdout


def _ended(
    command: tuple[str, ...], stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        command,
        input=stdin,
        env=os.environ | dict(env or {}),
        capture_output=True,
        timeout=HALF_AN_HOUR,
        check=False,
    )
