"""§4.11: what the write path accepts, every read path can render, and renders as it was sent."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.wire import Server

GALLERY = "/v1/galleries/trip"
PEOPLE = f"{GALLERY}/subjects"


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=20) as client:
        assert client.post("/v1/galleries", json={"name": "trip"}).status_code == 201
        yield client


texts = st.text(max_size=40) | st.sampled_from(["\u2028", "\x7f", "\x85", "￿", "𝒳", "\ud800", "\0"])
numbers = st.integers() | st.floats() | st.sampled_from([2**53 + 1, 2**63, -(2**63), 5e-324, 1e308])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "name": texts | st.none(),
        "metadata": st.dictionaries(texts, values, max_size=4),
        "tags": st.lists(texts, max_size=4),
        "consent_ref": texts | st.none(),
        "expires_at": st.integers(0, 2**53) | st.none(),
    },
)


def sent(body: Any, *, ascii_only: bool) -> bytes:  # noqa: ANN401 - JSON
    return json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=bodies, ascii_only=st.booleans())
def test_what_is_accepted_comes_back(
    api: httpx.Client, body: dict[str, Any], ascii_only: bool
) -> None:
    kind = {"content-type": "application/json"}
    content = sent(body, ascii_only=ascii_only)
    answer = api.put(f"{PEOPLE}/p", content=content, headers=kind)
    if answer.status_code == 422:
        assert answer.json()["error"]["code"] in ("json_invalid", "request_invalid")
        return
    assert answer.status_code in (200, 201), answer.text
    expected = body | {"tags": list(dict.fromkeys(body.get("tags", [])))}
    for found in (answer.json(), api.get(f"{PEOPLE}/p").json()):
        assert {name: found[name] for name in expected} == expected
    [listed] = api.get(PEOPLE).json()["subjects"]
    assert listed == api.get(f"{PEOPLE}/p").json()
    changed = api.patch(f"{PEOPLE}/p", content=content, headers=kind)
    assert changed.status_code == 200
    created = api.post(
        "/v1/galleries",
        content=sent({"name": "other", "metadata": body.get("metadata", {})}, ascii_only=True),
        headers=kind,
    )
    assert created.status_code == 201
    assert created.json()["metadata"] == body.get("metadata", {})
    assert api.get("/v1/galleries").status_code == 200
    assert api.delete("/v1/galleries/other").status_code == 200
