"""Real faces through a real socket: what the README promises."""

import base64
import math
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import Faces


def _verify(api: httpx.Client, a: bytes, b: bytes, **params: str | float) -> httpx.Response:
    return api.post("/v1/verify", files={"image_a": a, "image_b": b}, params=params)


def _error(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert body["request_id"] == answer.headers["x-request-id"]
    error: dict[str, Any] = body["error"]
    assert error["message"]
    return error


def test_same_person_matches_with_its_evidence(api: httpx.Client, faces: Faces) -> None:
    answer = _verify(api, faces.portrait, faces.portrait_again).json()
    assert answer["match"] is True
    assert answer["similarity"] >= answer["threshold"]["value"]
    assert answer["threshold"]["source"] == "calibration"
    assert answer["threshold"]["fmr"] <= 1e-4
    assert answer["identical_image"] is False
    assert answer["liveness"] == "not_performed"
    assert answer["packages"]["contract_id"].startswith("c1-")
    for side in ("image_a", "image_b"):
        assert answer[side]["quality"]["norm"] > 0
        assert set(answer[side]["face"]["landmarks"]) >= {"left_eye", "nose"}
        assert answer[side]["timings_ms"]["embed"] > 0


def test_different_people_do_not_match(api: httpx.Client, faces: Faces) -> None:
    answer = _verify(api, faces.portrait, faces.other).json()
    assert answer["match"] is False
    assert answer["similarity"] < answer["threshold"]["value"]


def test_the_same_file_twice_is_said_to_be_identical(api: httpx.Client, faces: Faces) -> None:
    answer = _verify(api, faces.other, faces.other).json()
    assert answer["identical_image"] is True
    assert answer["similarity"] == pytest.approx(1.0, abs=1e-5)


def test_threshold_can_be_given_and_stricter_rates_need_more(
    api: httpx.Client, faces: Faces
) -> None:
    given = _verify(api, faces.portrait, faces.other, threshold=-1).json()
    assert given["match"] is True
    assert given["threshold"]["source"] == "request"
    assert given["threshold"]["value"] == -1.0
    assert given["threshold"]["fmr"] is None
    loose, strict = (
        _verify(api, faces.portrait, faces.other, fmr=fmr).json()["threshold"]["value"]
        for fmr in (1e-2, 1e-5)
    )
    assert loose < strict


def test_a_rate_beyond_the_data_is_refused(api: httpx.Client, faces: Faces) -> None:
    answer = _verify(api, faces.portrait, faces.other, fmr=1e-12)
    assert answer.status_code == 422
    assert _error(answer)["code"] == "fmr_unsupported"


def test_detect_finds_all_six(api: httpx.Client, faces: Faces) -> None:
    answer = api.post("/v1/detect", files={"image": faces.group}).json()
    assert len(answer["faces"]) == 6
    scores = [face["score"] for face in answer["faces"]]
    assert scores == sorted(scores, reverse=True)
    for face in answer["faces"]:
        marks, box = face["landmarks"], face["box"]
        assert marks["left_eye"][0] < marks["right_eye"][0]
        assert box["top"] < marks["left_eye"][1] < marks["left_mouth"][1] < box["bottom"]


def test_detect_says_that_no_one_is_there(api: httpx.Client, faces: Faces) -> None:
    answer = api.post("/v1/detect", files={"image": faces.landscape})
    assert answer.status_code == 200
    assert answer.json()["faces"] == []


def test_all_three_ways_to_send_a_photo_agree(api: httpx.Client, faces: Faces) -> None:
    multipart = api.post("/v1/embed", files={"image": faces.other})
    raw = api.post("/v1/embed", content=faces.other, headers={"content-type": "image/jpeg"})
    encoded = base64.b64encode(faces.other).decode()
    as_json = api.post("/v1/embed", json={"image": encoded}, params={"encoding": "base64"})
    expected = np.array(multipart.json()["feature"], dtype=np.float32)
    assert expected.shape == (128,)
    assert np.array_equal(np.array(raw.json()["feature"], dtype=np.float32), expected)
    packed = np.frombuffer(base64.b64decode(as_json.json()["feature"]), dtype="<f4")
    assert np.array_equal(packed, expected)
    norm = raw.json()["quality"]["norm"]
    assert float(np.linalg.norm(expected)) == pytest.approx(norm, abs=1e-3)


def test_face_select_decides_among_several(api: httpx.Client, three_people: bytes) -> None:
    answers = {
        how: api.post("/v1/embed", files={"image": three_people}, params={"face_select": how})
        for how in ("largest", "center", "only")
    }
    faces = api.post("/v1/detect", files={"image": three_people}).json()["faces"]
    assert len(faces) == 3
    assert answers["largest"].json()["face"] == max(faces, key=_area)
    assert answers["center"].json()["face"] == min(faces, key=lambda face: _offset(face, 700, 600))
    assert answers["center"].json()["face"] != answers["largest"].json()["face"]
    error = _error(answers["only"])
    assert (answers["only"].status_code, error["code"]) == (422, "face_multiple")
    assert len(error["faces"]) == 3


def _area(face: dict[str, Any]) -> float:
    box = face["box"]
    return float((box["right"] - box["left"]) * (box["bottom"] - box["top"]))


def _offset(face: dict[str, Any], width: int, height: int) -> float:
    box = face["box"]
    return math.hypot(
        (box["left"] + box["right"] - width) / 2, (box["top"] + box["bottom"] - height) / 2
    )


@pytest.mark.parametrize(
    ("photo", "status", "code"),
    [
        (b"", 422, "image_empty"),
        (b"GIF89a" + bytes(100), 415, "image_unsupported"),
        (b"<html>not a photo</html>", 415, "image_unsupported"),
        (b"\xff\xd8\xff" + bytes(100), 422, "image_undecodable"),
        (bytes(11 * 1024 * 1024), 413, "image_too_large"),
    ],
)
def test_what_is_no_photo_has_its_code(
    api: httpx.Client, photo: bytes, status: int, code: str
) -> None:
    anything = {"content-type": "application/octet-stream"}
    answer = api.post("/v1/embed", content=photo, headers=anything)
    assert (answer.status_code, _error(answer)["code"]) == (status, code)


def test_a_truncated_photo_is_refused_and_named(api: httpx.Client, faces: Faces) -> None:
    answer = _verify(api, faces.portrait, faces.other[: len(faces.other) // 2])
    assert answer.status_code == 422
    assert _error(answer) | {"message": ""} == {
        "code": "image_undecodable",
        "message": "",
        "image": "image_b",
    }


def test_a_landscape_has_no_face_to_verify(api: httpx.Client, faces: Faces) -> None:
    error = _error(_verify(api, faces.landscape, faces.other))
    assert (error["code"], error["image"]) == ("face_not_found", "image_a")


def test_a_tiny_face_is_refused_with_the_reason_unless_told_otherwise(
    api: httpx.Client, tiny_face: bytes, faces: Faces
) -> None:
    refused = _verify(api, tiny_face, faces.portrait)
    assert refused.status_code == 422
    error = _error(refused)
    assert error["code"] == "quality_rejected"
    assert "face_too_small" in error["reasons"]
    assert set(error["rejected"]) == {"image_a"}
    warned = _verify(api, tiny_face, faces.portrait, quality="warn").json()
    assert "face_too_small" in warned["image_a"]["quality"]["reasons"]
    off = _verify(api, tiny_face, faces.portrait, quality="off").json()
    assert off["image_a"]["quality"]["reasons"] == []
    assert off["similarity"] == warned["similarity"]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v1/verify", {"treshold": 0.3}),
        ("/v1/verify", {"threshold": "nan"}),
        ("/v1/verify", {"threshold": 2}),
        ("/v1/verify", {"fmr": 0}),
        ("/v1/verify", {"fmr": 0.1, "threshold": 0.3}),
        ("/v1/verify", {"face_select": "prettiest"}),
        ("/v1/embed", {"encoding": "hex"}),
        ("/v1/detect", {"quality": "off"}),
    ],
)
def test_odd_options_are_refused(
    api: httpx.Client, faces: Faces, path: str, params: dict[str, Any]
) -> None:
    names = ("image_a", "image_b") if path == "/v1/verify" else ("image",)
    answer = api.post(path, files=dict.fromkeys(names, faces.other), params=params)
    assert (answer.status_code, _error(answer)["code"]) == (422, "request_invalid")
