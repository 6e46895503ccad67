"""Services of a test end with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.service_process import Serve, Served


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts services; those still alive in the end are killed."""
    begun: list[Served] = []

    def start(data: Path, failpoints: str = "") -> Served:
        begun.append(Served.start(data, failpoints))
        return begun[-1]

    yield start
    for served in begun:
        served.kill()
        served.process.wait()
        served.client.close()
