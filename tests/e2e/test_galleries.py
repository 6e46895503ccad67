"""Galleries over a real socket, with real faces: enrol, identify, erase, restart."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.served import running
from tests.conftest import Faces

UNIT = base64.b64encode(np.eye(1, 128, dtype="<f4").tobytes()).decode()


@pytest.fixture(scope="module")
def own_dir(packages_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of these tests' own, on the default packages."""
    directory = tmp_path_factory.mktemp("galleries")
    (directory / "packages").symlink_to(packages_dir)
    return directory


@pytest.fixture(scope="module")
def api(own_dir: Path) -> Iterator[httpx.Client]:
    with running(data_dir=str(own_dir)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def people(api: httpx.Client, faces: Faces) -> str:
    """The path of a gallery of two subjects: `tom`, and `eileen`."""
    path = _create(api, "people", identify=True)
    for subject, photo in (("tom", faces.portrait), ("eileen", faces.other)):
        assert _enrol(api, path, subject, photo).status_code == 201
    return path


def _create(api: httpx.Client, name: str, **terms: object) -> str:
    answer = api.post("/v1/galleries", json={"name": name, **terms})
    assert answer.status_code == 201, answer.text
    return f"/v1/galleries/{name}"


def _enrol(
    api: httpx.Client, path: str, subject: str, *photos: bytes, **more: dict[str, str]
) -> httpx.Response:
    files = {f"photo_{n}": photo for n, photo in enumerate(photos)}
    return api.post(f"{path}/subjects/{subject}/faces", files=files, **more)


def _identify(api: httpx.Client, path: str, photo: bytes, **params: str | float) -> dict[str, Any]:
    answer = api.post(f"{path}/identify", files={"image": photo}, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _feature(api: httpx.Client, photo: bytes) -> tuple[str, str]:
    answer = api.post("/v1/embed", files={"image": photo}, params={"encoding": "base64"}).json()
    return answer["feature"], answer["packages"]["contract_id"]


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_the_right_subject_is_found_with_its_evidence(
    api: httpx.Client, people: str, faces: Faces
) -> None:
    found = _identify(api, people, faces.portrait_again)
    [face] = found["faces"]
    assert face["identified"] == "tom"
    assert [one["subject"]["id"] for one in face["candidates"]] == ["tom", "eileen"]
    assert [one["match"] for one in face["candidates"]] == [True, False]
    assert (face["gallery_faces"], face["exact"]) == (2, True)
    assert found["threshold"]["source"] == "calibration"
    assert (found["threshold"]["faces"], found["threshold"]["fpir"]) == (2, 0.01)
    assert 0 < found["threshold"]["fmr"] < 0.01
    assert found["liveness"] == "not_performed"


def test_strangers_are_unknown_each_of_them(
    api: httpx.Client, people: str, three_people: bytes
) -> None:
    found = _identify(api, people, three_people, faces="all")["faces"]
    assert len(found) == 3
    assert [face["identified"] for face in found] == [None] * 3
    assert all(len(face["candidates"]) == 2 for face in found)


def test_a_poor_face_among_all_is_not_searched(
    api: httpx.Client, people: str, tiny_face: bytes
) -> None:
    [face] = _identify(api, people, tiny_face, faces="all")["faces"]
    assert (face["searched"], face["candidates"]) == (False, [])
    assert "face_too_small" in face["quality"]["reasons"]
    [warned] = _identify(api, people, tiny_face, faces="all", quality="warn")["faces"]
    assert warned["searched"] is True
    refused = api.post(f"{people}/identify", files={"image": tiny_face})
    assert _code(refused) == (422, "quality_rejected")


def test_thresholds_can_be_given_and_rates_beyond_the_data_are_refused(
    api: httpx.Client, people: str, faces: Faces
) -> None:
    given = _identify(api, people, faces.portrait_again, threshold=0.999)
    assert given["threshold"]["source"] == "request"
    assert given["faces"][0]["identified"] is None
    answer = api.post(f"{people}/identify", files={"image": faces.other}, params={"fpir": 1e-12})
    assert _code(answer) == (422, "fmr_unsupported")


def test_a_claim_is_checked_against_that_subject_alone(
    api: httpx.Client, people: str, faces: Faces
) -> None:
    def claim(subject: str) -> httpx.Response:
        return api.post(f"{people}/verify/{subject}", files={"image": faces.portrait_again})

    assert claim("tom").json()["match"] is True
    denied = claim("eileen").json()
    assert denied["match"] is False
    assert denied["similarity"] < denied["threshold"]["value"]
    assert denied["threshold"]["source"] == "calibration"
    assert _code(claim("nobody")) == (404, "subject_not_found")


def test_search_takes_a_feature_a_face_or_a_subject(
    api: httpx.Client, people: str, faces: Faces
) -> None:
    def search(**body: object) -> httpx.Response:
        return api.post(f"{people}/search", json=body)

    feature, contract_id = _feature(api, faces.portrait)
    by_feature = search(feature=feature, contract_id=contract_id, fpir=0.01).json()
    best = by_feature["matches"][0]
    assert (best["subject"]["id"], best["match"]) == ("tom", True)
    assert best["similarity"] == pytest.approx(1, abs=1e-3)
    by_face = search(face=best["face"]).json()
    assert by_face["matches"][0]["subject"]["id"] == "tom"
    assert by_face["threshold"] is None
    others = search(subject="tom").json()["matches"]
    assert [one["subject"]["id"] for one in others] == ["eileen"]
    assert _code(search(feature=feature, contract_id="c1-other")) == (409, "contract_mismatch")
    assert _code(search(feature="AAAA", contract_id=contract_id)) == (422, "feature_invalid")
    assert _code(search(feature=feature)) == (422, "request_invalid")
    assert _code(search(face="0" * 32)) == (404, "enrolled_face_not_found")


def test_subjects_have_versions_and_can_be_filtered_by(
    api: httpx.Client, people: str, faces: Faces
) -> None:
    path = f"{people}/subjects/eileen"
    before = api.get(path)
    said = api.patch(path, json={"name": "Eileen", "tags": ["crew"], "metadata": {"site": "n"}})
    assert said.json()["faces"] == 1
    assert said.headers["etag"] != before.headers["etag"]
    stale = api.patch(path, json={"name": "x"}, headers={"if-match": before.headers["etag"]})
    assert _code(stale) == (412, "precondition_failed")
    assert api.patch(path, json={"consent_ref": "c-7"}).json()["name"] == "Eileen"
    for wanted in ({"tag": "crew"}, {"metadata": '{"site": "n"}'}):
        [face] = _identify(api, people, faces.portrait_again, **wanted)["faces"]
        assert [one["subject"]["id"] for one in face["candidates"]] == ["eileen"]
    assert _code(api.patch(f"{people}/subjects/nobody", json={})) == (404, "subject_not_found")


def test_pages_go_on_where_they_ended(api: httpx.Client) -> None:
    path = _create(api, "pages")
    for subject in ("c", "a", "b"):
        made = api.put(f"{path}/subjects/{subject}", json={}, headers={"if-none-match": "*"})
        assert made.status_code == 201
    first = api.get(f"{path}/subjects", params={"limit": 2}).json()
    assert api.delete(f"{path}/subjects/a").status_code == 200
    rest = api.get(f"{path}/subjects", params={"cursor": first["next_cursor"]}).json()
    seen = [one["id"] for page in (first, rest) for one in page["subjects"]]
    assert (seen, rest["next_cursor"]) == (["a", "b", "c"], None)
    elsewhere = api.get("/v1/galleries", params={"cursor": first["next_cursor"]})
    assert _code(elsewhere) == (400, "cursor_invalid")


def test_one_bad_photo_refuses_all_or_is_reported(
    api: httpx.Client, faces: Faces, tiny_face: bytes
) -> None:
    path = _create(api, "mixed")
    photos = (faces.portrait, faces.landscape, tiny_face)
    refused = _enrol(api, path, "tom", *photos)
    assert _code(refused) == (422, "face_not_found")
    assert refused.json()["error"]["image"] == "photo_1"
    assert _code(api.get(f"{path}/subjects/tom")) == (404, "subject_not_found")
    done = _enrol(api, path, "tom", *photos, params={"on_error": "skip"}).json()
    assert done["accepted"] == ["photo_0"]
    assert {one["item"]: one["error"]["code"] for one in done["rejected"]} == {
        "photo_1": "face_not_found",
        "photo_2": "quality_rejected",
    }
    [face] = api.get(f"{path}/subjects/tom/faces").json()["faces"]
    assert face == done["faces"][0]
    assert face["box"]
    assert len(face["source_sha256"]) == 64


def test_another_subjects_face_is_a_conflict_by_policy(api: httpx.Client, faces: Faces) -> None:
    strict = _create(api, "strict", conflict="reject")
    lenient = _create(api, "lenient", conflict="warn")
    for path in (strict, lenient):
        assert _enrol(api, path, "tom", faces.portrait).status_code == 201
    refused = _enrol(api, strict, "imposter", faces.portrait_again)
    assert _code(refused) == (409, "identity_conflict")
    [conflict] = refused.json()["error"]["conflicts"]
    assert conflict["subject"] == "tom"
    assert _enrol(api, strict, "tom", faces.portrait_again).status_code == 201
    warned = _enrol(api, lenient, "imposter", faces.portrait_again).json()
    assert [one["subject"] for one in warned["conflicts"]] == ["tom"]
    assert warned["conflicts"][0]["item"] == "photo_0"


def test_an_idempotency_key_adds_once(api: httpx.Client, faces: Faces) -> None:
    path = _create(api, "once")
    headers = {"idempotency-key": "order-66"}
    first = _enrol(api, path, "tom", faces.portrait, headers=headers).json()
    again = _enrol(api, path, "tom", faces.portrait, headers=headers).json()
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert again["faces"] == first["faces"]
    assert api.get(path).json()["faces"] == 1
    other = _enrol(api, path, "tom", faces.other, headers=headers)
    assert _code(other) == (409, "idempotency_conflict")


def test_features_are_enrolled_in_the_gallerys_contract_only(
    api: httpx.Client, faces: Faces
) -> None:
    path = _create(api, "features", identify=True)
    feature, contract_id = _feature(api, faces.portrait)

    def enrol(contract: str, *texts: str, **params: str | float) -> httpx.Response:
        body = {"contract_id": contract, "features": [{"feature": text} for text in texts]}
        return api.post(f"{path}/subjects/tom/faces/features", json=body, params=params)

    assert _code(enrol("c1-other", feature)) == (409, "contract_mismatch")
    assert _code(enrol(contract_id, feature, "AAAA")) == (422, "feature_invalid")
    assert _code(enrol(contract_id, "***")) == (422, "feature_invalid")
    assert _code(enrol(contract_id)) == (422, "request_invalid")
    assert _code(enrol(contract_id, feature, create=False)) == (404, "subject_not_found")
    assert len(enrol(contract_id, feature, UNIT).json()["faces"]) == 2
    [face] = _identify(api, path, faces.portrait_again)["faces"]
    assert face["identified"] == "tom"


def test_identification_is_off_until_it_is_allowed(api: httpx.Client, faces: Faces) -> None:
    path = _create(api, "claims")
    assert _enrol(api, path, "tom", faces.portrait).status_code == 201
    answer = api.post(f"{path}/identify", files={"image": faces.portrait})
    assert _code(answer) == (403, "identify_disabled")
    answer = api.post(f"{path}/search", json={"subject": "tom"})
    assert _code(answer) == (403, "identify_disabled")
    checked = api.post(f"{path}/verify/tom", files={"image": faces.portrait_again})
    assert checked.json()["match"] is True


def test_who_is_erased_is_gone_at_once(api: httpx.Client, own_dir: Path, faces: Faces) -> None:
    path = _create(api, "erased", identify=True)
    face = _enrol(api, path, "tom", faces.portrait, faces.portrait_again).json()["faces"][0]["id"]
    one = api.delete(f"{path}/subjects/tom/faces/{face}").json()
    assert (one["faces"], one["purged"]) == (1, True)
    assert api.get(f"{path}/subjects/tom").json()["faces"] == 1
    api.patch(f"{path}/subjects/tom", json={"name": "known-by-this-name-alone"})
    receipt = api.delete(f"{path}/subjects/tom").json()
    assert (receipt["faces"], receipt["purged"]) == (1, True)
    assert _identify(api, path, faces.portrait)["faces"][0]["candidates"] == []
    assert _code(api.delete(f"{path}/subjects/tom")) == (404, "subject_not_found")
    for file in (own_dir / "gallery").rglob("*"):
        assert file.is_dir() or b"known-by-this-name-alone" not in file.read_bytes(), file
    assert api.delete(path).json()["purged"] is True
    assert _code(api.get(path)) == (404, "gallery_not_found")


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "", {"name": "a/b"}, (422, "request_invalid")),
        ("POST", "", {"name": "."}, (422, "request_invalid")),
        ("POST", "", {"name": "x", "identity": True}, (422, "request_invalid")),
        ("POST", "", {"name": "people"}, (409, "gallery_exists")),
        ("POST", "", {"name": "x", "metadata": {"a": "b" * 20_000}}, (422, "request_invalid")),
        ("GET", "/nowhere", None, (404, "gallery_not_found")),
        ("GET", "/%00people", None, (422, "request_invalid")),
        ("GET", "/people/subjects/nobody", None, (404, "subject_not_found")),
        ("PUT", "/people/subjects/a%20b", {}, (422, "request_invalid")),
        ("PUT", "/people/subjects/x", {"expires_at": 2**70}, (422, "json_invalid")),
        ("PUT", "/people/subjects/x", {"tags": [""]}, (422, "request_invalid")),
        ("GET", "/people/subjects?limit=0", None, (422, "request_invalid")),
        ("GET", "/people/subjects?cursor=x", None, (400, "cursor_invalid")),
        ("DELETE", "/people/subjects/tom/faces/x", None, (422, "request_invalid")),
        ("POST", "/people/subjects/tom/faces", {}, (422, "request_invalid")),
    ],
)
@pytest.mark.usefixtures("people")
def test_odd_requests_have_their_code(
    api: httpx.Client, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    assert _code(api.request(method, f"/v1/galleries{path}", json=body)) == expected


@pytest.mark.usefixtures("people")
def test_odd_conditions_and_bodies_are_refused(api: httpx.Client) -> None:
    path = "/v1/galleries/people/subjects/tom"
    odd = api.put(path, json={}, headers={"if-match": "W/x"})
    assert _code(odd) == (422, "request_invalid")
    there = api.put(path, json={}, headers={"if-none-match": "*"})
    assert _code(there) == (412, "precondition_failed")
    large = api.put(path, content=b" " * 40_000_000, headers={"content-type": "application/json"})
    assert _code(large) == (413, "body_too_large")
    for text in (b'{"metadata": {"a": NaN}}', b"[" * 100_000, b'{"name": "\\ud800"}'):
        answer = api.put(path, content=text, headers={"content-type": "application/json"})
        assert _code(answer) == (422, "json_invalid"), text


def test_a_second_service_on_the_same_directory_is_refused(
    api: httpx.Client, people: str, own_dir: Path
) -> None:
    assert api.get(people).status_code == 200
    ran = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "serve"],
        env=os.environ | {"NORMA_DATA_DIR": str(own_dir), "NORMA_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    [line] = ran.stderr.splitlines()
    assert line.startswith("norma:")
    assert "in use by process" in line
    assert api.get("/readyz").status_code == 200


def test_a_restart_loses_nothing(packages_dir: Path, tmp_path: Path, faces: Faces) -> None:
    (tmp_path / "packages").symlink_to(packages_dir)
    with running(data_dir=str(tmp_path)) as url, httpx.Client(base_url=url, timeout=60) as api:
        assert not (tmp_path / "gallery").exists()
        path = _create(api, "people", identify=True)
        _enrol(api, path, "tom", faces.portrait)
        _enrol(api, path, "eileen", faces.other)
        api.delete(f"{path}/subjects/eileen")
        before = _identify(api, path, faces.portrait_again)["faces"][0]
        assert before["identified"] == "tom"
    with running(data_dir=str(tmp_path)) as url, httpx.Client(base_url=url, timeout=60) as api:
        after = _identify(api, path, faces.portrait_again)["faces"][0]
    assert after["candidates"] == before["candidates"]
    assert after["gallery_revision"] == before["gallery_revision"]


def test_damage_is_said_and_the_rest_goes_on(
    packages_dir: Path, tmp_path: Path, faces: Faces
) -> None:
    (tmp_path / "packages").symlink_to(packages_dir)
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "gallery.db").write_bytes(b"not a database " * 1000)
    server = running(data_dir=str(tmp_path), wait_for="/healthz")
    with server as url, httpx.Client(base_url=url, timeout=60) as api:
        assert _code(api.get("/readyz")) == (503, "not_ready")
        assert _code(api.get("/v1/galleries")) == (503, "gallery_corrupt")
        assert api.post("/v1/detect", files={"image": faces.other}).status_code == 200
