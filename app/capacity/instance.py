"""A service as `norma serve` starts it, for as long as it is measured, on data of its own."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from app.errors import StartError
from app.settings import Settings

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Instance:
    """A running service: where it listens, and its process."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time of the process so far, all threads; 0 where the system does not say."""
        path = Path(f"/proc/{self.pid}/stat")
        if not path.exists():
            return 0.0
        fields = path.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def instance(settings: Settings) -> Iterator[Instance]:
    """With the same packages, device and limits; without keys and galleries, on a free port of
    loopback. Raises StartError where it does not become ready."""
    with socket.socket() as probe, tempfile.TemporaryDirectory(prefix="norma-") as directory:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        named = {
            "NORMA_HOST": "127.0.0.1",
            "NORMA_PORT": str(port),
            "NORMA_DATA_DIR": directory,
            "NORMA_PACKAGES_DIR": str(settings.packages_dir.absolute()),
            "NORMA_METRICS_PORT": "",
            "NORMA_LOG_LEVEL": "error",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", "from app.cli import main; main()", "serve"],
            env=os.environ | named,
            stdout=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process)
            yield Instance(url, process.pid)
        finally:
            process.terminate()
            process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StartError("the service ended at once; `norma doctor` says why")
        try:
            with urlopen(f"{url}/readyz", timeout=5):  # noqa: S310 - our own address
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise StartError(f"the service was not ready within {PATIENCE_SECONDS:.0f} seconds")
