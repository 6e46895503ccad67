"""F37: a backup by the command, while others enrol and erase, restored elsewhere."""

import base64
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.service import Service
from tests.faults.service_process import Serve, Served


def norma(data: Path, *arguments: object) -> str:
    command = [sys.executable, "-c", "from app.cli import main; main()", "gallery"]
    ran = subprocess.run(
        [*command, *map(str, arguments)],
        env=os.environ | {"NORMA_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def feature(n: int) -> str:
    values = np.random.default_rng(n).standard_normal(128) * 2
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


class Storm:
    """Enrols subjects without pause, and erases every fifth again."""

    def __init__(self, url: str, contract_id: str) -> None:
        self.enrolled: list[int] = []
        self._client = httpx.Client(base_url=f"{url}/v1/galleries/people", timeout=60)
        self._contract_id = contract_id
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        n = 0
        while not self._stopping.is_set():
            n += 1
            body = {"contract_id": self._contract_id, "features": [{"feature": feature(n)}]}
            answer = self._client.post(f"/subjects/s{n:05}/faces/features", json=body)
            assert answer.status_code == 201, answer.text
            self.enrolled.append(n)
            if n % 5 == 0:
                assert self._client.delete(f"/subjects/s{n:05}").status_code == 200


def subjects(served: Served) -> set[str]:
    found: set[str] = set()
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 1000} | ({"cursor": cursor} if cursor else {})
        page = served.client.get("/v1/galleries/people/subjects", params=query).json()
        found |= {one["id"] for one in page["subjects"]}
        cursor = page["next_cursor"]
    return found


@pytest.mark.slow
def test_f37_a_backup_under_load_comes_back_elsewhere_without_the_erased(
    tmp_path: Path, packages_dir: Path, service: Service, serve: Serve
) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    for directory in (data, other):
        directory.mkdir()
        (directory / "packages").symlink_to(packages_dir)
    served = serve(data)
    assert served.ready()
    terms = {"name": "people", "identify": True, "conflict": "off"}
    served.client.post("/v1/galleries", json=terms)
    contract_id = service.pipeline.recogniser.contract_id
    storm = Storm(str(served.client.base_url).rstrip("/"), contract_id)
    while len(storm.enrolled) < 150:
        assert served.alive
    before = len(storm.enrolled)
    said = norma(data, "backup", tmp_path / "galleries.db")
    after = len(storm.enrolled)
    storm.stop()
    assert "verified" in said
    # Erased after the backup: it must not come back either.
    assert served.client.delete("/v1/galleries/people/subjects/s00001").status_code == 200
    assert served.stop() == 0

    shutil.copy2(data / "master.key", other / "master.key")
    log = data / "gallery" / "erasures.log"
    norma(other, "restore", tmp_path / "galleries.db", "--erasures", log)
    again = serve(other)
    assert again.ready()
    found = subjects(again)
    numbers = sorted(int(key[1:]) for key in found)
    assert 1 not in numbers
    assert not [n for n in numbers if n % 5 == 0 and n < before]
    last = numbers[-1]
    assert before <= last <= after + 2
    # One state: everybody up to some moment, and nobody from after it.
    assert numbers == [n for n in range(2, last + 1) if n % 5 != 0 or n in numbers[-1:]]
    for n in (2, numbers[len(numbers) // 2], last):
        body = {"feature": feature(n), "contract_id": contract_id, "k": 1}
        [match] = again.client.post("/v1/galleries/people/search", json=body).json()["matches"]
        assert match["subject"]["id"] == f"s{n:05}"
        assert match["similarity"] > 0.999
    assert again.stop() == 0
