"""Keys of a running service, made and revoked beside it as an operator does."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from benchmarks.served import running

COMMAND = [sys.executable, "-c", "from app.cli import main; main()"]


@pytest.fixture(scope="module")
def own_dir(packages_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    (directory / "packages").symlink_to(packages_dir)
    return directory


@pytest.fixture(scope="module")
def api(own_dir: Path) -> Iterator[httpx.Client]:
    with running(data_dir=str(own_dir)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def norma(own_dir: Path, *arguments: str) -> str:
    environment = os.environ | {"NORMA_DATA_DIR": str(own_dir)}
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_a08_a_service_follows_within_a_second_and_under_load(
    api: httpx.Client, own_dir: Path
) -> None:
    """Also from no keys at all to the first one, which closes the door behind it."""
    assert api.get("/v1/models").status_code == 200
    one = norma(own_dir, "keys", "create", "one", "--scopes", "all")
    other = norma(own_dir, "keys", "create", "other", "--scopes", "read")
    until(lambda: api.get("/v1/models").status_code == 401)
    with asking(str(api.base_url), one) as statuses:
        until(lambda: 200 in statuses)
        norma(own_dir, "keys", "revoke", one)
        until(lambda: statuses[-1] in (401, 429))
        late = len(statuses)
        until(lambda: len(statuses) > late)
        assert api.get("/v1/models", headers=bearer(other)).status_code == 200
    assert set(statuses[late:]) <= {401, 429}, "429 once it was tried too often"


def until(true: Callable[[], bool]) -> None:
    """A second on an idle machine; how soon exactly, tests/unit/app/security say on a clock."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def asking(url: str, key: str) -> Iterator[list[int]]:
    """The statuses that one client meets, which does not stop."""
    statuses: list[int] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, headers=bearer(key)) as client:
            while not done.is_set():
                statuses.append(client.get("/v1/models").status_code)

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield statuses
    finally:
        done.set()
        client.join()


def test_the_documentation_stays_on_loopback(api: httpx.Client) -> None:
    assert api.get("/docs").status_code == 200
    assert api.get("/openapi.json").status_code == 200
