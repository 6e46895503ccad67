"""Several photos in one request, and answers that cost fewer bytes."""

import base64
from collections.abc import Iterator

import httpx
import msgpack
import numpy as np
import pytest

from tests.conftest import Faces

PACKED = {"accept": "application/msgpack"}


@pytest.fixture(scope="module")
def gallery(api: httpx.Client, faces: Faces) -> Iterator[str]:
    where = "/v1/galleries/many-photos"
    api.post("/v1/galleries", json={"name": "many-photos", "identify": True}).raise_for_status()
    api.post(
        f"{where}/subjects/eileen/faces", params={"create": True}, files={"image": faces.other}
    ).raise_for_status()
    yield where
    api.delete(where).raise_for_status()


def sent(faces: Faces) -> dict[str, bytes]:
    return {
        "eileen": faces.other,
        "nobody": faces.landscape,
        "broken": b"no photo",
        "tom.1": faces.portrait,
    }


def test_each_photo_has_its_own_answer(api: httpx.Client, faces: Faces) -> None:
    answer = api.post("/v1/embed", files=sent(faces))
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [item["name"] for item in items] == list(sent(faces))
    codes = [item["error"] and item["error"]["code"] for item in items]
    assert codes == [None, "face_not_found", "image_unsupported", None]
    assert [item["result"] is None for item in items] == [False, True, True, False]
    alone = api.post("/v1/embed", files={"image": faces.other}).json()
    assert items[0]["result"]["feature"] == alone["feature"]
    assert answer.json()["packages"] == alone["packages"]


def test_several_photos_in_json(api: httpx.Client, faces: Faces) -> None:
    body = {name: base64.b64encode(photo).decode() for name, photo in sent(faces).items()}
    items = api.post("/v1/embed", json=body).json()["items"]
    assert [item["error"] is None for item in items] == [True, False, False, True]


def test_a_photo_under_another_name_is_an_item(api: httpx.Client, faces: Faces) -> None:
    answer = api.post("/v1/embed", files={"anna": faces.other}).json()
    assert [item["name"] for item in answer["items"]] == ["anna"]


def test_a_poor_photo_of_several_says_why(
    api: httpx.Client, faces: Faces, tiny_face: bytes
) -> None:
    files = {"good": faces.other, "tiny": tiny_face}
    items = api.post("/v1/embed", files=files).json()["items"]
    assert items[0]["error"] is None
    assert items[1]["error"]["code"] == "quality_rejected"
    assert "face_too_small" in items[1]["error"]["reasons"]


def test_no_more_photos_than_may_be(api: httpx.Client, faces: Faces) -> None:
    files = {f"photo-{n}": faces.landscape for n in range(21)}
    answer = api.post("/v1/embed", files=files)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "request_invalid"


def test_several_photos_are_larger_than_one_may_be(api: httpx.Client, faces: Faces) -> None:
    """More bytes in all than a request of one or two may have."""
    padded = faces.landscape + bytes(9 * 1024 * 1024)
    answer = api.post("/v1/embed", files={f"photo-{n}": padded for n in range(4)})
    assert answer.status_code == 200
    [code] = {item["error"]["code"] for item in answer.json()["items"]}
    assert code in ("face_not_found", "image_undecodable")
    both = api.post("/v1/verify", files={"image_a": padded * 2, "image_b": padded * 2})
    assert both.status_code == 413


@pytest.mark.parametrize("which", ["selected", "all"])
def test_several_photos_are_identified_each(
    api: httpx.Client, faces: Faces, gallery: str, which: str
) -> None:
    answer = api.post(f"{gallery}/identify", params={"faces": which}, files=sent(faces))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    found = {item["name"]: item for item in body["items"]}
    assert found["eileen"]["faces"][0]["identified"] == "eileen"
    assert found["tom.1"]["faces"][0]["identified"] is None
    assert found["broken"]["error"]["code"] == "image_unsupported"
    if which == "all":
        assert found["nobody"]["faces"] == []
    else:
        assert found["nobody"]["error"]["code"] == "face_not_found"
    alone = api.post(
        f"{gallery}/identify", params={"faces": which}, files={"image": faces.other}
    ).json()
    assert body["threshold"] == alone["threshold"]


def test_packed_answers_say_the_same(api: httpx.Client, faces: Faces, gallery: str) -> None:
    for path, files in (
        ("/v1/detect", {"image": faces.other}),
        ("/v1/embed", {"image": faces.other}),
        (f"{gallery}/identify", {"image": faces.other}),
        ("/v1/verify", {"image_a": faces.other, "image_b": faces.other}),
    ):
        plain = api.post(path, files=files)
        answer = api.post(path, files=files, headers=PACKED)
        assert answer.headers["content-type"] == "application/msgpack"
        found, expected = msgpack.unpackb(answer.content), plain.json()
        for body in (found, expected):
            for key in [key for key in body if key.endswith(("_ms", "request_id"))]:
                del body[key]
        assert found.keys() == expected.keys()
        if path == "/v1/embed":
            assert found["feature"] == expected["feature"]


def test_features_can_be_few_bytes(api: httpx.Client, faces: Faces) -> None:
    def feature(encoding: str, headers: dict[str, str] | None = None) -> bytes | str | list[float]:
        answer = api.post(
            "/v1/embed",
            params={"encoding": encoding},
            files={"image": faces.other},
            headers=headers,
        )
        body = msgpack.unpackb(answer.content) if headers else answer.json()
        return body["feature"]

    exact = np.array(feature("json"), dtype="<f4")
    assert feature("base64", PACKED) == exact.tobytes()
    half = feature("base64-float16", PACKED)
    assert isinstance(half, bytes)
    assert len(half) == 2 * exact.size
    np.testing.assert_allclose(np.frombuffer(half, "<f2"), exact, rtol=1e-3, atol=1e-5)
    assert base64.b64decode(str(feature("base64-float16"))) == half


def test_errors_are_json_whatever_is_accepted(api: httpx.Client, faces: Faces) -> None:
    answer = api.post("/v1/embed", files={"image": faces.landscape}, headers=PACKED)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "face_not_found"
