"""What the tests of a running service read from its metrics, and how they wait."""

import re
import socket
import time
from collections.abc import Callable

import httpx


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def value(url: str, sample: str) -> float:
    """One sample, by its name and labels as they are written."""
    [found] = re.findall(rf"^{re.escape(sample)} (\S+)$", httpx.get(url).text, re.MULTILINE)
    return float(found)


def until(happens: Callable[[], bool]) -> None:
    """Waits for what must come; a minute is for ever."""
    for _ in range(1200):
        if happens():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within a minute")
