"""A gallery moved from one real recogniser to another while it is served."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.served import running
from export import package
from export.contract import ARCFACE_112, Preprocessing
from export.importers.networks import import_recogniser
from export.manifest import MODEL
from tests.conftest import Faces
from tests.unit.export.importers.about import about

OLD, NEW = "sface-2021dec", "another"
PEOPLE = "/v1/galleries/people"
MIGRATION = f"{PEOPLE}/migration"


@pytest.fixture(scope="module")
def home(packages_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two recognisers: in each other's space they say nothing."""
    directory = tmp_path_factory.mktemp("migration")
    shutil.copytree(packages_dir, directory / "packages")
    pixels = Preprocessing("BGR", (9.0, 9.0, 9.0), (1.1, 1.1, 1.1))
    model = package.load(packages_dir / OLD).read(MODEL)
    import_recogniser(directory / "packages" / NEW, model, about(NEW), pixels, ARCFACE_112)
    return directory


@pytest.fixture(scope="module")
def api(home: Path) -> Iterator[httpx.Client]:
    settings = {"data_dir": str(home), "next_recogniser": NEW}
    with running(**settings) as url, httpx.Client(base_url=url, timeout=60) as api:
        terms = {"name": "people", "vault": True, "identify": True, "conflict": "off"}
        assert api.post("/v1/galleries", json=terms).status_code == 201
        yield api


def enrol(api: httpx.Client, subject: str, photo: bytes) -> None:
    answer = api.post(f"{PEOPLE}/subjects/{subject}/faces", files={"a": photo})
    assert answer.status_code == 201, answer.text


def nearest(api: httpx.Client, photo: bytes) -> tuple[str, str, float]:
    """The recogniser asked, and who it says is nearest, how near."""
    path = f"{PEOPLE}/identify"
    answer = api.post(path, files={"image": photo}, params={"threshold": 0.5}).json()
    best = answer["faces"][0]["candidates"][0]
    return answer["packages"]["recogniser"], best["subject"]["id"], best["similarity"]


def ended(api: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    for _ in range(600):
        found = api.get(f"/v1/jobs/{job['id']}").json()
        if found["finished_at"] is not None:
            return dict(found)
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def test_there_and_back_and_there_for_good(api: httpx.Client, faces: Faces) -> None:
    assert code(api.get(MIGRATION)) == "move_not_found"
    enrol(api, "tom", faces.portrait)
    enrol(api, "eileen", faces.other)
    assert ended(api, api.post(MIGRATION).json())["state"] == "done"
    enrol(api, "tom", faces.portrait_again)  # after the job: the cut-over sees to it
    before = api.get(MIGRATION).json()
    assert (before["faces"], before["computed"], before["without_picture"]) == (3, 2, 0)
    assert before["comparison"]["impostor"]["pairs"] == 1
    assert nearest(api, faces.portrait)[:2] == (OLD, "tom")

    moved = api.post(f"{MIGRATION}/cutover").json()
    assert (moved["cut_over"], moved["computed"]) == (True, 3)
    assert moved["contract_id"] == before["other_contract_id"]
    seen = moved["comparison"]
    assert (seen["mated"], seen["right"], seen["other_right"]) == (2, 2, 2)
    assert seen["agree"] >= 2
    recogniser, subject, similarity = nearest(api, faces.portrait)
    assert (recogniser, subject) == (NEW, "tom")
    assert similarity > 0.999, "the vault's picture gives another feature than the photo"

    enrol(api, "eileen", faces.other)
    assert api.post(f"{MIGRATION}/rollback").json()["cut_over"] is False
    recogniser, subject, similarity = nearest(api, faces.other)
    assert (recogniser, subject) == (OLD, "eileen")
    assert similarity > 0.999

    assert api.post(f"{MIGRATION}/cutover").status_code == 200
    assert api.delete(MIGRATION).json()["purged"] is True
    assert code(api.post(f"{MIGRATION}/rollback")) == "move_not_found"
    assert nearest(api, faces.portrait)[:2] == (NEW, "tom")


def test_faces_without_a_picture_are_told_and_hold_it_up(api: httpx.Client, faces: Faces) -> None:
    path = "/v1/galleries/plain"
    api.post("/v1/galleries", json={"name": "plain"})
    api.post(f"{path}/subjects/tom/faces", files={"a": faces.portrait})
    job = ended(api, api.post(f"{path}/migration").json())
    assert job["progress"]["refused"] == 1
    [item] = api.get(f"/v1/jobs/{job['id']}/items").json()["items"]
    assert (item["subject"], item["code"]) == ("tom", "picture_missing")
    found = api.get(f"{path}/migration").json()
    assert found["without_picture"] == 1
    assert found["listed"] == [{"subject": "tom", "face": item["item"]}]
    refused = api.post(f"{path}/migration/cutover")
    assert (refused.status_code, code(refused)) == (409, "move_unfinished")
    assert refused.json()["error"]["without_picture"] == 1
    assert api.delete(f"{path}/subjects/tom").status_code == 200
    assert api.post(f"{path}/migration/cutover").status_code == 200


def norma(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from app.cli import main; main()", "gallery", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_goes_all_the_way(api: httpx.Client, faces: Faces) -> None:
    path, url = "/v1/galleries/staff", ("--url", str(api.base_url).rstrip("/"))
    api.post("/v1/galleries", json={"name": "staff", "vault": True, "conflict": "off"})
    early = norma("migrate", "staff", "compare", *url)
    assert (early.returncode, early.stdout) == (1, "")
    assert "move_not_found" in early.stderr
    for subject, photo in (
        ("tom", faces.portrait),
        ("tom", faces.portrait_again),
        ("eve", faces.other),
    ):
        query = {"create": "true"}
        sent = api.post(f"{path}/subjects/{subject}/faces", files={"a": photo}, params=query)
        assert sent.status_code == 201, sent.text

    computed = norma("migrate", "staff", *url)
    assert computed.returncode == 0, computed.stderr
    assert "3 of 3 faces" in computed.stdout
    assert "own subject nearest    2 of 2 → 2 of 2" in computed.stdout
    before = json.loads(norma("migrate", "staff", "compare", "--json", *url).stdout)
    there = json.loads(norma("migrate", "staff", "cut-over", "--json", *url).stdout)
    assert there["contract_id"] == before["other_contract_id"]
    assert "move_unfinished" in norma("migrate", "staff", "cut-over", *url).stderr
    assert norma("migrate", "staff", "roll-back", *url).returncode == 0
    assert api.get(path).json()["contract_id"] == before["contract_id"]
    assert "finished: no file" in norma("migrate", "staff", "finish", *url).stdout
    assert "move_not_found" in norma("migrate", "staff", "compare", *url).stderr
