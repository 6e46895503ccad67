"""A gallery's move killed at every commit: it is whole, on one side or the other, and goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from tests.faults.gallery_process import key_file
from tests.faults.move_process import GALLERY, OWNER, PEOPLE, feature, furnish, opened


def run(directory: Path, armed: str) -> int:
    here = Path(__file__).parent
    return subprocess.run(
        [sys.executable, str(here / "move_process.py"), str(directory)],
        env={**os.environ, "PYTHONPATH": str(here.parent.parent), "NORMA_FAILPOINTS": armed},
        check=False,
    ).returncode


def side(service: GalleryService) -> str:
    """The contract that everybody is found in."""
    contract = service.gallery(OWNER, GALLERY).spec.contract_id
    for n in range(PEOPLE):
        probe = feature(contract, n)
        for aggregate in ("max", "mean"):  # the index, and the rows themselves
            options = SearchOptions(k=1, aggregate=aggregate)  # type: ignore[arg-type]
            answer = service.search(OWNER, GALLERY, probe, contract, options)
            assert answer.matches[0].subject.key == f"s{n}"
            assert answer.matches[0].similarity > 0.999
    return contract


@pytest.mark.timeout(0)
@pytest.mark.slow
@pytest.mark.parametrize("point", ["before_commit", "after_commit", "purged"])
def test_killed_anywhere_the_gallery_is_on_one_side_whole(tmp_path: Path, point: str) -> None:
    data = tmp_path / "data"
    key = key_file(data)
    key.write(key.keys(None).rotated())
    service = opened(data)
    furnish(service)
    service.close()
    seen = []
    for hit in range(1, 40):
        status = run(data, f"{point}:kill:{hit}")
        service = opened(data)
        seen.append(side(service))
        service.close()
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert seen == sorted(seen, reverse=True), "once there, it stays there"
    assert {seen[0], seen[-1]} == {"old", "new"} or point == "purged"
    assert seen[-1] == "new"
    service = opened(data)
    with service.store.read() as connection:
        for table in ("moves", "other_features"):
            [count] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
            assert count == 0
    service.close()
