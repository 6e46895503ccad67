"""B43–B48, B52: bodies, names and cursors, against a running service; nothing sent comes back."""

import base64
import json
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from tests.hostile import corpus
from tests.hostile.process import pid_of, threads_and_files
from tests.hostile.wire import Server

CANARY = "zzCANARYzz"
PHOTO = corpus.flat(64, 64, "JPEG")
EMBED = "/v1/embed"
FORM = "multipart/form-data; boundary=B"


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=20) as client:
        client.post("/v1/galleries", json={"name": "g", "identify": True})
        client.put("/v1/galleries/g/subjects/anna", json={})
        yield client


def refused(answer: httpx.Response, *expected: tuple[int, str]) -> None:
    """One of these answers, in the one shape, with nothing in it that was sent."""
    body = answer.json()
    assert (answer.status_code, body["error"]["code"]) in expected, body
    assert set(body) == {"error", "request_id"}
    assert CANARY not in answer.text
    assert CANARY not in str(answer.headers)


def part(*headers: str, data: bytes = PHOTO) -> bytes:
    return "\r\n".join(["--B", *headers, "", ""]).encode() + data + b"\r\n"


IMAGE = 'Content-Disposition: form-data; name="image"'
END = b"--B--\r\n"
MULTIPART = {
    "no boundary": ("multipart/form-data", part(IMAGE) + END),
    "an empty boundary": ("multipart/form-data; boundary=", part(IMAGE) + END),
    "a boundary of 300 bytes": ("multipart/form-data; boundary=" + "B" * 300, part(IMAGE) + END),
    "no body": (FORM, b""),
    "no parts": (FORM, END),
    "no end": (FORM, part(IMAGE)),
    "half an end": (FORM, part(IMAGE) + b"--B-"),
    "10 000 parts": (FORM, part(IMAGE, data=b"x") * 10_000 + END),
    "10 000 parts of other names": (
        FORM,
        b"".join(part(f'Content-Disposition: form-data; name="n{n}"') for n in range(10_000)) + END,
    ),
    "10 000 headers in a part": (FORM, part(IMAGE, *(f"X-{n}: a" for n in range(10_000))) + END),
    "a part header of 1 MB": (FORM, part(IMAGE, "X: " + "a" * 2**20) + END),
    "a part header without an end": (FORM, b"--B\r\nX: " + b"a" * 2**20),
    "10 MB before the first part": (FORM, b"x\r\n" * 3_400_000 + part(IMAGE) + END),
    "a part without a name": (FORM, part("Content-Disposition: form-data") + END),
    "a part without headers": (FORM, part() + END),
    "an empty name": (FORM, part('Content-Disposition: form-data; name=""') + END),
    "a name with NUL": (FORM, part('Content-Disposition: form-data; name="image\0"') + END),
    "a name given twice": (FORM, part(IMAGE) + part(IMAGE) + END),
    "line feeds alone": (FORM, part(IMAGE).replace(b"\r\n", b"\n") + END),
    "a text field where the photo is due": (FORM, part(IMAGE, data=CANARY.encode()) + END),
    "a multipart in a part": (
        FORM,
        part(IMAGE, "Content-Type: multipart/mixed; boundary=C", data=b"--C\r\n\r\nx\r\n--C--")
        + END,
    ),
    "an empty file": (FORM, part(IMAGE, data=b"") + END),
}


@pytest.mark.parametrize(("kind", "body"), MULTIPART.values(), ids=list(MULTIPART))
def test_b43_a_broken_multipart_body_is_refused_in_no_time(
    api: httpx.Client, kind: str, body: bytes
) -> None:
    start = time.monotonic()
    answer = api.post(EMBED, content=body, headers={"content-type": kind})
    refused(answer, (422, "request_invalid"), (415, "image_unsupported"), (422, "image_empty"))
    assert time.monotonic() - start < 2


FILE_NAMES = [
    'filename="../../etc/passwd"',
    "filename*=UTF-8''..%2f..%2fx",
    'filename="a.php\0.jpg"',
    'filename="' + "x" * 3000 + '"',
    "",
]


@pytest.mark.parametrize("name", FILE_NAMES, ids=[name[:20] for name in FILE_NAMES])
def test_b43_file_names_and_declared_types_are_not_looked_at(api: httpx.Client, name: str) -> None:
    header = "; ".join(filter(None, [IMAGE, name]))
    body = part(header, "Content-Type: text/html", data=PHOTO) + b"--B--epilogue " + b"x" * 2**20
    answer = api.post(EMBED, content=body, headers={"content-type": FORM})
    refused(answer, (422, "face_not_found"))


def test_b43_data_that_looks_like_the_boundary_is_data(api: httpx.Client) -> None:
    body = part(IMAGE, data=PHOTO + b"\r\n--b\r\n-B\r\n-" * 1000) + END
    answer = api.post(EMBED, content=body, headers={"content-type": FORM})
    refused(answer, (422, "face_not_found"))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, part(f'Content-Disposition: form-data; name="{CANARY}"') + END),
        ("application/json", b'{"' + CANARY.encode() + b'": "AAAA"}'),
    ],
)
def test_b43_another_name_is_refused_where_one_photo_is_asked_for(
    api: httpx.Client, kind: str, body: bytes
) -> None:
    answer = api.post("/v1/detect", content=body, headers={"content-type": kind})
    refused(answer, (422, "request_invalid"))


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/x-www-form-urlencoded", b"image=x", (415, "body_unsupported")),
        ("text/plain", CANARY.encode(), (415, "body_unsupported")),
        ("application/json", b"\xef\xbb\xbf{}", (422, "json_invalid")),
        ("application/json; charset=utf-16", "{}".encode("utf-16"), (415, "body_unsupported")),
        ("application/json; charset=latin-1", b"{}", (415, "body_unsupported")),
        ("application/problem+json", b"{}", (415, "body_unsupported")),
        ("", b"{}", (415, "body_unsupported")),
        ("application/json", b'{"image": ["' + CANARY.encode() + b'"]}', (422, "request_invalid")),
        ("application/json", b'{"image": "' + CANARY.encode() + b'!"}', (422, "request_invalid")),
    ],
)  # fmt: skip
def test_b44_other_types_and_encodings_are_refused(
    api: httpx.Client, kind: str, body: bytes, expected: tuple[int, str]
) -> None:
    refused(api.post(EMBED, content=body, headers={"content-type": kind}), expected)
    if expected[1] == "body_unsupported":
        where = "/v1/galleries/g/subjects/x"
        refused(api.put(where, content=body, headers={"content-type": kind}), expected)


@pytest.mark.parametrize("actual", ["JPEG", "PNG", "WEBP"])
def test_b05_a_raw_photo_is_what_it_is_declared_to_be(api: httpx.Client, actual: str) -> None:
    photo = corpus.flat(64, 64, actual)
    for declared in ("image/jpeg", "image/png", "image/webp", "application/octet-stream"):
        answer = api.post(EMBED, content=photo, headers={"content-type": declared})
        fits = declared in (f"image/{actual.lower()}", "application/octet-stream")
        refused(answer, (422, "face_not_found") if fits else (415, "image_unsupported"))


@pytest.mark.parametrize("declared", ["image/gif", "image/jpg", "image/svg+xml", "text/html"])
def test_b05_other_declared_types_are_not_read(api: httpx.Client, declared: str) -> None:
    answer = api.post(EMBED, content=PHOTO, headers={"content-type": declared})
    refused(answer, (415, "body_unsupported"))


@pytest.mark.parametrize(
    "body",
    [
        f'{{"name": "x", "name": "{CANARY}"}}',
        '{"metadata": {"a": NaN}}',
        '{"metadata": {"a": [Infinity]}}',
        '{"expires_at": 1e400}',
        f'{{"expires_at": {10**30}}}',
        '{"tags": ["\\ud800"]}',
        '{"name": "a\\u0000b"}',
        '{"metadata": ' + '{"a":' * 5000 + "1" + "}" * 5001,
    ],
)
def test_b45_json_that_readers_disagree_about_is_not_stored(api: httpx.Client, body: str) -> None:
    kind = {"content-type": "application/json"}
    refused(
        api.put("/v1/galleries/g/subjects/odd", content=body, headers=kind), (422, "json_invalid")
    )
    assert api.get("/v1/galleries/g/subjects/odd").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {CANARY: 1},
        {"owner": CANARY},
        {"name": {"a": CANARY}},
        {"name": CANARY * 100},
        {"metadata": [CANARY]},
        {"metadata": None},
        {"tags": CANARY},
        {"tags": [CANARY * 100]},
        {"tags": [CANARY] * 33},
        {"expires_at": CANARY},
        {"expires_at": -1},
        {"expires_at": True},
        {"expires_at": "5"},
        {"expires_at": 1.5},
        {"metadata": {CANARY: "x" * 20_000}},
        [CANARY],
        CANARY,
        1,
    ],
)
def test_b45_wrong_fields_and_types_are_refused(api: httpx.Client, body: object) -> None:
    where = "/v1/galleries/g/subjects/anna"
    for method in ("PUT", "PATCH"):
        refused(api.request(method, where, json=body), (422, "request_invalid"))


@pytest.mark.parametrize("value", ["NaN", "inf", "-2", "2", CANARY, "", "1e999", "0x1", "1,5"])
def test_b46_thresholds_beyond_a_cosine_are_refused(api: httpx.Client, value: str) -> None:
    files = {"image_a": PHOTO, "image_b": PHOTO}
    for name in ("threshold", "fmr", "review_fmr"):
        refused(api.post("/v1/verify", files=files, params={name: value}), (422, "request_invalid"))
    refused(api.post("/v1/verify", files=files, params={"fmr": "0"}), (422, "request_invalid"))


@pytest.mark.parametrize(
    "body",
    [
        {"threshold": "0.5"},
        {"threshold": True},
        {"fpir": "0.01"},
        {"k": True},
        {"k": "5"},
        {"k": 2.5},
        {"k": 0},
        {"at_least": 1.5},
        {"subject": 1},
        {"mode": CANARY},
        {"tags": [1]},
        {"metadata": {"a": {}}},
    ],
)
def test_b46_a_number_is_a_number(api: httpx.Client, body: dict[str, object]) -> None:
    answer = api.post("/v1/galleries/g/search", json={"subject": "anna"} | body)
    refused(answer, (422, "request_invalid"))


@pytest.mark.parametrize("value", ["0", "-1", "1000000000", "1.5", CANARY, "9" * 400])
def test_b46_limits_out_of_range_are_refused(api: httpx.Client, value: str) -> None:
    refused(api.get("/v1/galleries", params={"limit": value}), (422, "request_invalid"))
    image = {"image": PHOTO}
    answer = api.post("/v1/galleries/g/identify", params={"k": value}, files=image)
    refused(answer, (422, "request_invalid"))


@pytest.mark.parametrize(
    "metadata", ["x", "[]", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a": [1]}', CANARY, "[" * 9999]
)
def test_b46_a_filter_is_read_as_strictly_as_a_body(api: httpx.Client, metadata: str) -> None:
    image, asked = {"image": PHOTO}, {"metadata": metadata}
    answer = api.post("/v1/galleries/g/identify", params=asked, files=image)
    refused(answer, (422, "json_invalid"), (422, "request_invalid"))


@pytest.mark.parametrize("path", ["/v1/models", "/v1/galleries", "/v1/galleries/g", "/healthz"])
def test_unknown_parameters_are_refused(api: httpx.Client, path: str) -> None:
    refused(api.get(path, params={CANARY: CANARY}), (422, "request_invalid"))


NAMES = [
    ".", "..", "a b", " a", "a ", "a\n", "a\r\nX-Evil: 1", "é", "😀", "\u202ea", "а", "a/b", "a\\b",
    "a\0b", "a%00", "%2e%2e", "a;b", "' OR 1=1 --", "a" * 129, "<script>", CANARY + "*",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_b47_names_are_plain_or_refused(api: httpx.Client, name: str) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in name.encode())
    path = f"/v1/galleries/g/subjects/{encoded}"
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        body = {"json": {}} if method.startswith("P") else {}
        answer = api.request(method, path, **body)  # type: ignore[arg-type]
        refused(answer, (422, "request_invalid"), (404, "not_found"))
    answer = api.post("/v1/galleries", json={"name": name})
    refused(answer, (422, "request_invalid"), (422, "json_invalid"))


def test_b47_names_differ_by_case_and_thirty_kilobytes_are_no_name(api: httpx.Client) -> None:
    assert api.get("/v1/galleries/g/subjects/anna").status_code == 200
    refused(api.get("/v1/galleries/g/subjects/Anna"), (404, "subject_not_found"))
    refused(api.get("/v1/galleries/g/subjects/" + "a" * 30_000), (422, "request_invalid"))


def b64(feature: np.ndarray) -> str:
    return base64.b64encode(feature.tobytes()).decode()


GOOD = np.arange(1, 129, dtype="<f4")
FEATURES = {
    "too short": b64(GOOD[:127]),
    "too long": b64(np.append(GOOD, 1).astype("<f4")),
    "of zeros": b64(0 * GOOD),
    "of NaN": b64(GOOD * np.float32("nan")),
    "of infinity": b64(GOOD * np.float32("inf")),
    "overflowing": b64(np.full(128, 3e38, "<f4")),
    "vanishing": b64(np.full(128, 1e-45, "<f4")),
    "of float64": b64(GOOD.astype("<f8")),
    "half a number": base64.b64encode(GOOD.tobytes()[:-1]).decode(),
    "no base64": CANARY + "!",
    "base64 with line breaks": "AAAA\n" * 128,
    "empty": "",
}


@pytest.mark.parametrize("feature", FEATURES.values(), ids=list(FEATURES))
def test_b48_features_that_no_network_gives_are_refused(api: httpx.Client, feature: str) -> None:
    contract = api.get("/v1/galleries/g").json()["contract_id"]
    where = "/v1/galleries/g/subjects/anna/faces/features"
    body = {"contract_id": contract, "features": [{"feature": feature}]}
    refused(api.post(where, json=body), (422, "feature_invalid"))
    probe = {"contract_id": contract, "feature": feature}
    refused(api.post("/v1/galleries/g/search", json=probe), (422, "feature_invalid"))


def test_b48_features_of_another_contract_are_refused(api: httpx.Client) -> None:
    body = {"contract_id": CANARY, "features": [{"feature": b64(GOOD)}]}
    answer = api.post("/v1/galleries/g/subjects/anna/faces/features", json=body)
    refused(answer, (409, "contract_mismatch"))
    probe = {"contract_id": CANARY, "feature": b64(GOOD)}
    refused(api.post("/v1/galleries/g/search", json=probe), (409, "contract_mismatch"))
    numbers = {"contract_id": "x", "features": [{"feature": [1, 2, 3]}]}
    answer = api.post("/v1/galleries/g/subjects/anna/faces/features", json=numbers)
    refused(answer, (422, "request_invalid"))


def test_b52_a_cursor_belongs_to_its_list(api: httpx.Client) -> None:
    for name in ("g2", "g3"):
        api.post("/v1/galleries", json={"name": name})
        for subject in "abc":
            api.put(f"/v1/galleries/{name}/subjects/{subject}", json={})
    cursor = api.get("/v1/galleries/g2/subjects", params={"limit": 1}).json()["next_cursor"]
    own = api.get("/v1/galleries/g2/subjects", params={"cursor": cursor})
    assert [one["id"] for one in own.json()["subjects"]] == ["b", "c"]
    flipped = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    for path, used in [
        ("/v1/galleries/g3/subjects", cursor),
        ("/v1/galleries", cursor),
        ("/v1/galleries/g2/subjects", flipped),
        ("/v1/galleries/g2/subjects", cursor[:8]),
        ("/v1/galleries/g2/subjects", CANARY),
        ("/v1/galleries/g2/subjects", "é"),
        ("/v1/galleries/g2/subjects", "="),
    ]:
        refused(api.get(path, params={"cursor": used}), (400, "cursor_invalid"))
    too_long = api.get("/v1/galleries/g2/subjects", params={"cursor": "A" * 600})
    refused(too_long, (422, "request_invalid"))


def test_b53_an_idempotency_key_belongs_to_its_request(api: httpx.Client) -> None:
    contract = api.get("/v1/galleries/g").json()["contract_id"]
    where, key = "/v1/galleries/g/subjects/bea/faces/features", {"idempotency-key": "k-1"}
    body = {"contract_id": contract, "features": [{"feature": b64(GOOD)}]}
    answers = [api.post(where, json=body, headers=key).json() for _ in range(3)]
    assert [one["repeated"] for one in answers] == [False, True, True]
    assert len({json.dumps(one["faces"]) for one in answers}) == 1
    assert api.get("/v1/galleries/g/subjects/bea").json()["faces"] == 1
    body["features"] = [{"feature": b64(GOOD[::-1].copy())}]
    refused(api.post(where, json=body, headers=key), (409, "idempotency_conflict"))


def test_no_request_leaves_files_or_threads_behind(api: httpx.Client, server: Server) -> None:
    pid = pid_of(server.port)
    before = threads_and_files(pid)
    for kind, body in MULTIPART.values():
        api.post(EMBED, content=body, headers={"content-type": kind})
    threads, files = threads_and_files(pid)
    assert threads <= before[0] + 8, "the default executor's, at the most"
    assert files <= before[1] + 2
