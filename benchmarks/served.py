"""A running service, as a user starts it: `norma serve` in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Served:
    """A service and the process that it runs in."""

    url: str
    process: "subprocess.Popen[bytes]"


@contextmanager
def running(*, wait_for: str = "/readyz", **settings: str) -> Iterator[str]:
    """The base URL of a service with these NORMA_ settings; it is stopped at the end.

    It is there once `wait_for` answers 200.
    """
    with started(wait_for=wait_for, **settings) as served:
        yield served.url


@contextmanager
def started(
    *,
    wait_for: str = "/readyz",
    command: Sequence[str] = (sys.executable, "-c", "from app.cli import main; main()", "serve"),
    output: int = subprocess.DEVNULL,
    **settings: str,
) -> Iterator[Served]:
    """As `running`, with the process itself. `output` is a file descriptor for both its streams."""
    port = free_port()
    names = {f"NORMA_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen(
        command,
        env=os.environ | names | {"NORMA_PORT": str(port), "NORMA_HOST": "127.0.0.1"},
        stdout=output,
        stderr=output,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url + wait_for, process)
        yield Served(url, process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("the service ended at once; run `norma doctor`")
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError("the service did not become ready within a minute")
