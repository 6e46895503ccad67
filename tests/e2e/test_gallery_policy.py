"""A gallery's terms over HTTP: changed under conditions, and binding on requests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.served import running
from tests.conftest import Faces


@pytest.fixture(scope="module")
def api(packages_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("policy")
    (directory / "packages").symlink_to(packages_dir)
    with running(data_dir=str(directory)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def _create(api: httpx.Client, name: str, **terms: object) -> str:
    answer = api.post("/v1/galleries", json={"name": name, **terms})
    assert answer.status_code == 201, answer.text
    return f"/v1/galleries/{name}"


def _enrol(api: httpx.Client, path: str, photo: bytes, **params: str) -> httpx.Response:
    return api.post(f"{path}/subjects/tom/faces", files={"a": photo}, params=params)


def _ask(api: httpx.Client, path: str, photo: bytes, **params: str | float) -> dict[str, Any]:
    answer = api.post(path, files={"image": photo}, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_terms_are_patched_field_by_field_under_a_condition(api: httpx.Client) -> None:
    path = _create(api, "terms", fmr=1e-3, metadata={"a": 1, "b": 2}, limits={"faces": 9})
    before = api.get(path)
    change = {
        "identify": True,
        "metadata": {"c": 3},
        "limits": {"subjects": 5},
        "quality": {"query": {"loosest": "off"}},
        "fpir": 0.02,
    }
    changed = api.patch(path, json=change, headers={"if-match": before.headers["etag"]})
    assert changed.status_code == 200, changed.text
    found = changed.json()
    assert (found["identify"], found["fmr"], found["fpir"]) == (True, 1e-3, 0.02)
    assert found["metadata"] == {"c": 3}
    assert found["limits"] == {"subjects": 5, "faces": 9, "faces_per_subject": 100}
    assert found["quality"] == {
        "enrol": {"default": "reject", "loosest": "warn"},
        "query": {"default": "reject", "loosest": "off"},
    }
    assert changed.headers["etag"] == f'"{found["version"]}"' != before.headers["etag"]
    stale = api.patch(path, json={}, headers={"if-match": before.headers["etag"]})
    assert _code(stale) == (412, "precondition_failed")
    assert api.patch(path, json={"fmr": None}).json()["fmr"] is None
    assert api.get(path).json()["revision"] == found["revision"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "other"},
        {"contract_id": "c"},
        {"identify": None},
        {"fmr": 2},
        {"fmr": 1e-3, "review_fmr": 1e-4},
        {"quality": {"enrol": {"default": "off"}}},
        {"quality": {"enrol": {"default": "sometimes"}}},
        {"limits": {"faces": 0}},
    ],
)
def test_terms_that_make_no_sense_are_refused(api: httpx.Client, body: object) -> None:
    if api.get("/v1/galleries/odd").status_code == 404:
        _create(api, "odd")
    answer = api.patch("/v1/galleries/odd", json=body)
    assert _code(answer) == (422, "request_invalid")
    assert api.get("/v1/galleries/odd").json()["version"] == 1


def test_erasing_is_conditional(api: httpx.Client, faces: Faces) -> None:
    path = _create(api, "erased")
    _enrol(api, path, faces.portrait)
    tag = api.get(f"{path}/subjects/tom").headers["etag"]
    api.patch(f"{path}/subjects/tom", json={"name": "Tom"})
    stale = api.delete(f"{path}/subjects/tom", headers={"if-match": tag})
    assert _code(stale) == (412, "precondition_failed")
    tag = api.get(f"{path}/subjects/tom").headers["etag"]
    assert api.delete(f"{path}/subjects/tom", headers={"if-match": tag}).status_code == 200
    assert _code(api.delete(path, headers={"if-match": '"9"'})) == (412, "precondition_failed")
    tag = api.get(path).headers["etag"]
    assert api.delete(path, headers={"if-match": tag}).status_code == 200


def test_a_request_gets_no_more_leeway_than_the_gallery_gives(
    api: httpx.Client, faces: Faces, tiny_face: bytes
) -> None:
    path = _create(api, "strict", identify=True, quality={"enrol": {"loosest": "reject"}})
    for asked in ("warn", "off"):
        answer = _enrol(api, path, faces.portrait, quality=asked)
        assert _code(answer) == (403, "policy_forbids")
        assert answer.json()["error"]["loosest"] == "reject"
    assert _enrol(api, path, faces.portrait, quality="reject").status_code == 201
    for route in ("identify", "verify/tom"):
        url, files = f"{path}/{route}", {"image": tiny_face}
        assert _code(api.post(url, files=files)) == (422, "quality_rejected")
        assert _code(api.post(url, files=files, params={"quality": "off"}))[0] == 403
        assert _ask(api, url, tiny_face, quality="warn")["quality_policy"] == "warn"
    rules = {"query": {"default": "warn", "loosest": "off"}}
    api.patch(path, json={"quality": rules})
    assert _ask(api, f"{path}/verify/tom", tiny_face)["quality_policy"] == "warn"
    assert _ask(api, f"{path}/verify/tom", tiny_face, quality="off")["quality_policy"] == "off"


def test_the_gallerys_rates_decide_where_the_request_names_none(
    api: httpx.Client, faces: Faces
) -> None:
    path = _create(api, "rates", identify=True, fmr=1e-3, fpir=0.05)
    _enrol(api, path, faces.portrait)
    claim = _ask(api, f"{path}/verify/tom", faces.portrait_again)
    assert (claim["threshold"]["fmr"], claim["score"]) == (1e-3, claim["similarity"])
    assert _ask(api, f"{path}/verify/tom", faces.portrait_again, fmr=1e-5)["threshold"][
        "fmr"
    ] == pytest.approx(1e-5)
    assert _ask(api, f"{path}/identify", faces.portrait_again)["threshold"]["fpir"] == 0.05


def test_three_answers_and_the_refusal(api: httpx.Client, faces: Faces, tiny_face: bytes) -> None:
    path = _create(api, "three", identify=True)
    _enrol(api, path, faces.portrait)
    near = _ask(api, f"{path}/verify/tom", faces.other)["similarity"]
    verdicts = {
        photo: _ask(api, f"{path}/identify", getattr(faces, photo))["faces"][0]["verdict"]
        for photo in ("portrait_again", "other")
    }
    assert verdicts == {"portrait_again": "match", "other": "unknown"}
    # So loose that even these two are within the zone, unless they are utterly unlike.
    api.patch(path, json={"review_fpir": 0.99, "review_fmr": 0.99})
    claim = _ask(api, f"{path}/verify/tom", faces.other)
    zone = claim["threshold"]["review"]
    assert claim["verdict"] == ("inconclusive" if near >= zone else "no_match")
    found = _ask(api, f"{path}/identify", faces.other)
    [face] = found["faces"]
    assert face["identified"] is None
    assert face["verdict"] == ("inconclusive" if near >= zone else "unknown")
    assert face["candidates"][0]["match"] is False
    [poor] = _ask(api, f"{path}/identify", tiny_face, faces="all")["faces"]
    assert (poor["verdict"], poor["searched"]) == ("refused", False)


def test_consent_can_be_required(api: httpx.Client, faces: Faces) -> None:
    path = _create(api, "consent", require_consent=True)
    assert _code(_enrol(api, path, faces.portrait)) == (422, "consent_missing")
    assert _enrol(api, path, faces.portrait, consent_ref="c-1").status_code == 201
    assert api.get(f"{path}/subjects/tom").json()["consent_ref"] == "c-1"
    taken = api.patch(f"{path}/subjects/tom", json={"consent_ref": None})
    assert _code(taken) == (422, "consent_missing")
