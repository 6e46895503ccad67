"""A gallery's health over HTTP, with real faces."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.served import running
from tests.conftest import Faces

PATH = "/v1/galleries/people"


@pytest.fixture(scope="module")
def api(
    packages_dir: Path, tmp_path_factory: pytest.TempPathFactory, faces: Faces
) -> Iterator[httpx.Client]:
    """A gallery with Tom under two ids, and Eileen."""
    directory = tmp_path_factory.mktemp("health")
    (directory / "packages").symlink_to(packages_dir)
    with running(data_dir=str(directory)) as url, httpx.Client(base_url=url, timeout=60) as client:
        made = client.post("/v1/galleries", json={"name": "people", "identify": True})
        assert made.status_code == 201, made.text
        photos = {"tom": faces.portrait, "thomas": faces.portrait_again, "eileen": faces.other}
        for subject, photo in photos.items():
            added = client.post(f"{PATH}/subjects/{subject}/faces", files={"a": photo})
            assert added.status_code == 201, added.text
        yield client


def _examined(api: httpx.Client) -> dict[str, Any]:
    asked = api.post(f"{PATH}/health")
    assert asked.status_code == 202, asked.text
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found: dict[str, Any] = api.get(f"{PATH}/health").json()
        if found["report"] and not found["stale"]:
            return found
        time.sleep(0.05)
    raise AssertionError("no report")


def test_a_report_says_what_was_found_and_how_much_was_looked_at(api: httpx.Client) -> None:
    found = _examined(api)
    report = found["report"]
    assert (report["subjects"], report["faces"], report["faces_searched_for"]) == (3, 3, 3)
    assert report["single_face_subjects"] == 3
    assert report["findings"] == {"duplicates": 1, "nearest": 2, "outliers": 0, "weak": 0}
    assert report["revision"] == api.get(PATH).json()["revision"]
    assert found["operating"]["threshold"]["source"] == "calibration"
    assert found["operating"]["own"]["supports_rate"] is False
    assert found["drift"] == {"scores": None, "norms": None}


def test_findings_are_listed_by_the_callers_ids(api: httpx.Client) -> None:
    _examined(api)
    listed = api.get(f"{PATH}/health/findings", params={"kind": "duplicates"}).json()
    [pair] = listed["findings"]
    assert {pair["a"]["subject"], pair["b"]["subject"]} == {"tom", "thomas"}
    assert (listed["total"], listed["next_cursor"]) == (1, None)
    first = api.get(f"{PATH}/health/findings", params={"kind": "nearest", "limit": 1}).json()
    cursor = first["next_cursor"]
    rest = api.get(f"{PATH}/health/findings", params={"kind": "nearest", "cursor": cursor}).json()
    assert len(first["findings"]) == len(rest["findings"]) == 1
    odd = api.get(f"{PATH}/health/findings", params={"cursor": cursor})
    assert (odd.status_code, odd.json()["error"]["code"]) == (400, "cursor_invalid")
    odd = api.get(f"{PATH}/health/findings", params={"kind": "everything"})
    assert odd.status_code == 422


def test_a_changed_gallery_is_stale(api: httpx.Client) -> None:
    _examined(api)
    api.put(f"{PATH}/subjects/nobody", json={})
    assert api.get(f"{PATH}/health").json()["stale"] is True
    assert api.get("/v1/galleries/nowhere/health").status_code == 404
