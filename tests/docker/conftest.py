"""Images that are really built, and a deployment that really runs. `make docker-test`."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docker import bases
from tests.docker.deployment import Deployment, copied, free_port
from tests.docker.engine import Engine, find

IMAGE = "norma-test/service:cpu"


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Skips where there is none."""
    found = find()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="session")
def python(engine: Engine) -> str:
    return bases.python(engine)


@pytest.fixture(scope="session")
def home(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compose files in a copy of the sources."""
    return copied(engine, tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def image(engine: Engine, python: str, home: Path) -> str:
    """The CPU's image, built as compose builds it."""
    env = {"NORMA_IMAGE": IMAGE, "PYTHON_IMAGE": python}
    Deployment(engine, "norma-test", home, ("compose.yaml",), env).compose("build", "norma")
    return IMAGE


@pytest.fixture(scope="module")
def deployment(engine: Engine, image: str, home: Path) -> Iterator[Deployment]:
    """What `docker compose up -d` makes, on a free port; gone in the end, its volumes too."""
    env = {"NORMA_IMAGE": image, "NORMA_PUBLISHED_PORT": free_port()}
    running = Deployment(engine, "norma-test", home, ("compose.yaml",), env)
    running.down()
    try:
        running.up()
        yield running
    finally:
        running.down()


@pytest.fixture
def api(deployment: Deployment) -> Iterator[httpx.Client]:
    """A caller with the first key."""
    with deployment.client(deployment.key()) as client:
        yield client
