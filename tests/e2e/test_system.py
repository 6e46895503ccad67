"""Health, models, documentation and the edges of HTTP, over a real socket."""

import socket

import httpx
import pytest

from tests.conftest import Faces


def test_it_is_alive_and_ready(api: httpx.Client) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    ready = api.get("/readyz").json()
    assert ready["status"] == "ready"
    assert ready["recogniser"] == "sface-2021dec"


def test_models_say_their_licence_and_where_they_run(api: httpx.Client) -> None:
    answer = api.get("/v1/models").json()
    by_kind = {model["kind"]: model for model in answer["models"]}
    assert by_kind["detector"]["licence"]["name"] == "MIT"
    assert by_kind["recogniser"]["licence"]["name"] == "Apache-2.0"
    assert by_kind["recogniser"]["provider"] == "CPUExecutionProvider"
    assert by_kind["recogniser"]["calibrated"] is True
    assert by_kind["recogniser"]["quality_basis"] == "norm"
    assert all(model["in_use"] for model in answer["models"])
    assert answer["unusable"] == {}


def test_the_docs_need_no_other_host(api: httpx.Client) -> None:
    page = api.get("/docs").text
    assert "swagger-ui-bundle.js" in page
    assert "cdn." not in page
    assert api.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


def test_unknown_paths_and_methods_answer_in_the_one_shape(api: httpx.Client) -> None:
    assert api.get("/v2/verify").json()["error"]["code"] == "not_found"
    wrong = api.put("/v1/verify")
    assert wrong.json()["error"]["code"] == "method_not_allowed"
    assert wrong.headers["allow"] == "POST"


def test_request_ids_are_taken_over_where_they_are_plain(api: httpx.Client) -> None:
    plain = api.get("/healthz", headers={"x-request-id": "order-66"})
    assert plain.headers["x-request-id"] == "order-66"
    odd = api.get("/healthz", headers={"x-request-id": "a b<script>"})
    assert odd.headers["x-request-id"] != "a b<script>"


def test_answers_are_never_cached(api: httpx.Client) -> None:
    assert api.get("/v1/models").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("text/plain", b"hello", 415, "body_unsupported"),
        ("application/json", b"{", 422, "json_invalid"),
        ("application/json", b"[]", 422, "request_invalid"),
        ("application/json", b'{"image": NaN}', 422, "json_invalid"),
        ("application/json", b'{"image": 1}', 422, "request_invalid"),
        ("application/json", b'{"image": "***"}', 422, "request_invalid"),
        ("application/json", b'{"photo": "AAAA"}', 422, "request_invalid"),
        ("application/json", b"[" * 100_000, 422, "json_invalid"),
        ("multipart/form-data", b"x", 422, "request_invalid"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n", 422, "request_invalid"),
        ("multipart/form-data; boundary=" + "x" * 300, b"", 422, "request_invalid"),
    ],
)
def test_odd_bodies_are_refused(
    api: httpx.Client, content_type: str, body: bytes, status: int, code: str
) -> None:
    answer = api.post("/v1/detect", content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_missing_doubled_and_surplus_parts_are_refused(api: httpx.Client, faces: Faces) -> None:
    photo = ("x.jpg", faces.other)
    for files in (
        [("image_a", photo)],
        [("image_a", photo), ("image_a", photo)],
        [("image_a", photo), ("image_b", photo), ("image_c", photo)],
    ):
        answer = api.post("/v1/verify", files=files)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "request_invalid")


def test_a_body_over_the_limit_is_refused_before_it_is_sent(api: httpx.Client) -> None:
    head = (
        "POST /v1/embed HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/jpeg\r\n"
        f"content-length: {10**9}\r\n\r\n"
    )
    port = api.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(head.encode())
        assert b" 413 " in raw.recv(4096).split(b"\r\n")[0]
