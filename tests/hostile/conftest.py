"""A real service on a real socket, with short patience."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.served import running
from tests.hostile.wire import Server

PATIENCE = {"head_timeout": "1", "body_timeout": "2", "write_timeout": "1"}


@pytest.fixture(scope="session")
def server(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running service on the default packages, and a gallery of its own."""
    home = tmp_path_factory.mktemp("hostile")
    (home / "packages").symlink_to(data_dir / "packages")
    with running(data_dir=str(home), **PATIENCE) as url:
        yield Server(int(url.rpartition(":")[2]))
