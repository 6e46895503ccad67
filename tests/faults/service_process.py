"""A real service on a directory, to be killed: by a failpoint in it, or from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

Serve = Callable[..., "Served"]


@dataclass(slots=True)
class Served:
    """A process that has begun, and the client that asks it."""

    process: "subprocess.Popen[bytes]"
    client: httpx.Client

    @classmethod
    def start(cls, data: Path, failpoints: str = "") -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", "from app.cli import main; main()", "serve"],
            env=os.environ
            | {
                "NORMA_DATA_DIR": str(data),
                "NORMA_PORT": str(port),
                "NORMA_HOST": "127.0.0.1",
                "NORMA_FAILPOINTS": failpoints,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return cls(process, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ready(self) -> bool:
        """Waits until it answers; False where it died before."""
        while self.alive:
            try:
                if self.client.get("/readyz").status_code == 200:
                    return True
            except httpx.TransportError:
                time.sleep(0.05)
        return False

    def kill(self) -> None:
        if self.alive:
            self.process.send_signal(signal.SIGKILL)

    def stop(self) -> int:
        """As an operator stops it; its status."""
        self.process.terminate()
        status = self.process.wait(60)
        self.client.close()
        return status

    def reap(self) -> None:
        """After its death by SIGKILL."""
        assert self.process.wait(60) == -signal.SIGKILL
        self.client.close()
