"""A01–A04, A09: every operation × every kind of key, generated from the API's description.

A new operation needs a row in access.py; the rest follows from it.
"""

import inspect
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from app.gallery.rows.common import new_uid
from app.http.access import OPEN
from app.main import create_app
from app.security.keys import KeySpec, KeyStore
from app.security.scopes import ALL, Scope
from app.security.token import Token
from app.service import Service, build_service
from app.settings import Settings
from tests.conftest import Faces
from tests.contract import access
from tests.contract.access import Place, Row

MINE, THEIRS = "mine", "theirs"
ROWS = {row.operation: row for row in access.rows("c1-test")}
GUARDED = [operation for operation, row in ROWS.items() if row.path not in OPEN]


@dataclass(frozen=True, slots=True)
class World:
    """A running service with keys, and what is needed to try it."""

    app: FastAPI
    client: httpx.AsyncClient
    portal: BlockingPortal
    service: Service
    store: KeyStore
    faces: Faces
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def contract_id(self) -> str:
        return self.service.pipeline.recogniser.contract_id

    def key(self, owner: str, scopes: frozenset[Scope], ends: int | None = None) -> Token:
        return self.store.create(KeySpec("test", owner, scopes, ends), int(time.time()))

    def place(self, owner: str) -> Place:
        """A gallery of this owner that no other test has seen."""
        name = f"g{next(self.numbers)}"
        return self.portal.call(
            self.service.gallery.run,
            lambda store: access.furnish(store, owner, name, self.contract_id),
        )

    def send(self, row: Row, place: Place, headers: dict[str, str]) -> httpx.Response:
        """The row's request about this place."""
        [row] = [one for one in access.rows(self.contract_id) if one.operation == row.operation]
        photos = dict.fromkeys(row.photos, self.faces.portrait) or None
        json = {"name": f"g{next(self.numbers)}"} if row.fresh_name else row.json
        kind, content = row.content or ("", None)
        headers = headers | ({"content-type": kind} if kind else {})
        return self.request(
            row.method,
            place.url(row.path),
            headers=headers,
            files=photos,
            json=json,
            content=content,
        )

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401
        return self.portal.call(partial(self.client.request, method, path, **more))


@pytest.fixture(scope="module")
def world(
    packages_dir: Path, faces: Faces, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("access")
    (directory / "packages").symlink_to(packages_dir)
    settings = Settings(data_dir=directory, bad_keys_per_minute=1e6, claims_per_minute=0.1)
    store = KeyStore(settings.access_dir)
    store.create(KeySpec("first", MINE, ALL), 0)
    service = build_service(settings)
    app = create_app(service)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
        portal.wrap_async_context_manager(client),
    ):
        yield World(app, client, portal, service, store, faces)


def bearer(token: Token) -> dict[str, str]:
    return {"authorization": f"Bearer {token.text}"}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def operations(world: World) -> dict[str, dict[str, Any]]:
    """Every operation of the API's description."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in world.app.openapi()["paths"].items()
        for method, operation in methods.items()
    }


def test_a01_every_operation_has_a_row_and_every_row_an_operation(world: World) -> None:
    assert sorted(operations(world)) == sorted(ROWS)


def test_a01_the_description_says_which_scopes_each_operation_needs(world: World) -> None:
    for name, operation in operations(world).items():
        [scopes] = [one["key"] for one in operation.get("security", [{"key": []}])]
        assert set(scopes) == ROWS[name].scopes, name
        assert (name in GUARDED) == bool(scopes), name
        if scopes:
            assert operation["responses"].keys() >= {"401", "403", "429"}, name


def test_a01_what_is_not_described_is_the_documentation_alone(world: World) -> None:
    hidden = {
        route.path
        for route in iter_route_contexts(world.app.routes)
        if not (isinstance(route.original_route, APIRoute) and route.include_in_schema)
    }
    documentation = {"/docs", "/redoc", "/openapi.json", "/static-offline-docs"}
    assert hidden == documentation | {"/docs/oauth2-redirect"}


@pytest.mark.parametrize("operation", ROWS)
def test_the_right_key_is_answered(world: World, operation: str) -> None:
    row = ROWS[operation]
    answer = world.send(row, world.place(MINE), bearer(world.key(MINE, row.scopes)))
    assert answer.status_code == row.right, answer.text


@pytest.mark.parametrize("operation", set(ROWS) - set(GUARDED))
def test_open_operations_need_no_key(world: World, operation: str) -> None:
    assert world.send(ROWS[operation], world.place(MINE), {}).status_code == 200


@pytest.mark.parametrize("operation", GUARDED)
def test_a02_no_key_or_a_bad_one_is_401_whatever_is_wrong_with_it(
    world: World, operation: str
) -> None:
    row, place = ROWS[operation], world.place(MINE)
    revoked, good = world.key(MINE, ALL), world.key(MINE, ALL)
    world.store.revoke(revoked.key_id, int(time.time()))
    expired = world.key(MINE, ALL, int(time.time()) - 1)
    bad = {
        "none": {},
        "another scheme": {"authorization": f"Basic {good.text}"},
        "empty": {"authorization": "Bearer "},
        "malformed": {"authorization": "Bearer norma_x"},
        "too much": bearer(Token(good.key_id, good.secret + "0")),
        "unknown": bearer(Token.mint()),
        "wrong secret": bearer(Token(good.key_id, Token.mint().secret)),
        "another's secret": bearer(Token(good.key_id, revoked.secret)),
        "revoked": bearer(revoked),
        "expired": bearer(expired),
        "two at once": bearer(good) | {"x-api-key": Token.mint().text},
    }
    for kind, headers in bad.items():
        answer = world.send(row, place, headers)
        assert code(answer) == (401, "unauthenticated"), kind
        assert answer.headers["www-authenticate"].startswith('Bearer realm="norma"'), kind
        assert good.secret not in answer.text, kind
    assert world.send(row, place, bearer(good)).status_code == row.right, "nothing was done before"


@pytest.mark.parametrize("operation", GUARDED)
def test_a03_a_key_without_the_scope_is_403(world: World, operation: str) -> None:
    row, place = ROWS[operation], world.place(MINE)
    for missing in row.scopes:
        answer = world.send(row, place, bearer(world.key(MINE, ALL - {missing})))
        assert code(answer) == (403, "insufficient_scope")
        assert answer.json()["error"]["scopes"] == [missing]
        assert "insufficient_scope" in answer.headers["www-authenticate"]
    assert world.send(row, place, bearer(world.key(MINE, row.scopes))).status_code == row.right


@pytest.mark.parametrize("operation", GUARDED)
def test_a04_anothers_things_are_answered_as_if_there_were_none(
    world: World, operation: str
) -> None:
    row, place = ROWS[operation], world.place(MINE)
    theirs = bearer(world.key(THEIRS, ALL))
    found = world.send(row, place, theirs)
    assert found.status_code == row.elsewhere
    assert place.gallery not in found.text or found.status_code == 404
    if row.elsewhere == 404:
        absent = world.send(row, Place("absent", place.subject, place.face, new_uid()), theirs)
        assert told(found, place.gallery) == told(absent, "absent")
    assert world.send(row, place, bearer(world.key(MINE, row.scopes))).status_code == row.right


def told(answer: httpx.Response, gallery: str) -> tuple[int, str]:
    """An answer without what differs from one request to the next."""
    body = answer.json()
    request_id = body["request_id"]
    return answer.status_code, answer.text.replace(gallery, "").replace(request_id, "")


@pytest.mark.parametrize("path", ["/v1/embed", f"{access.GALLERY}/identify", access.FACES])
def test_a12_several_photos_are_several_requests(world: World, path: str) -> None:
    once = KeySpec("test", MINE, ALL, rate=0.01)
    headers = bearer(world.store.create(once, int(time.time())))
    photos = dict.fromkeys(("one", "two"), world.faces.portrait)
    url = world.place(MINE).url(path)
    answer = world.request("POST", url, files=photos, headers=headers)
    assert code(answer) == (429, "key_rate_limited")


def test_a15_similarities_are_coarse_without_the_scope_for_features(world: World) -> None:
    path = f"{access.GALLERY}/verify/{{subject}}"
    for scopes, digits in ((ALL - {Scope.EMBEDDINGS}, 3), (ALL, 6)):
        place, headers = world.place(MINE), bearer(world.key(MINE, scopes))
        claim = world.send(ROWS[f"POST {path}"], place, headers).json()
        face = world.send(ROWS[f"POST {access.GALLERY}/identify"], place, headers).json()
        [candidate] = face["faces"][0]["candidates"]
        found = [claim["similarity"], claim["score"], candidate["similarity"]]
        assert [decimals(value) <= digits for value in found] == [True] * 3
        assert max(map(decimals, found)) == digits


@pytest.mark.parametrize("conflict", ["warn", "reject"])
def test_a15_similarities_at_enrolment_are_coarse(world: World, conflict: str) -> None:
    place, headers = world.place(MINE), bearer(world.key(MINE, ALL))
    world.request("PATCH", place.url(access.GALLERY), json={"conflict": conflict}, headers=headers)
    url = f"/v1/galleries/{place.gallery}/subjects/spy/faces?create=true&conflict_similarity=-1"
    enrol = bearer(world.key(MINE, frozenset({Scope.ENROL})))
    answer = world.request("POST", url, files={"image": world.faces.portrait}, headers=enrol)
    body = answer.json()
    [found] = body["conflicts"] if conflict == "warn" else body["error"]["conflicts"]
    assert decimals(found["similarity"]) <= 3


def test_a15_tries_on_one_subject_are_limited(world: World) -> None:
    place, row = world.place(MINE), ROWS[f"POST {access.GALLERY}/verify/{{subject}}"]
    headers = bearer(world.key(MINE, row.scopes))
    assert world.send(row, place, headers).status_code == 200
    refused = world.send(row, place, headers)
    assert code(refused) == (429, "subject_attempts_limited")
    assert 500 < int(refused.headers["retry-after"]) <= 600
    assert world.send(row, world.place(MINE), headers).status_code == 200


def decimals(value: float) -> int:
    return len(str(value).partition(".")[2])


def test_nothing_that_a_route_depends_on_takes_a_thread(world: World) -> None:
    """A dependency that is not a coroutine function is sent to a thread, at ten times its cost."""

    def called(dependant: Dependant) -> Iterator[object]:
        for one in dependant.dependencies:
            yield one.call
            yield from called(one)

    looked_at = 0
    for route in iter_route_contexts(world.app.routes):
        if isinstance(route.original_route, APIRoute):
            for call in called(route.dependant):
                step = call if inspect.isfunction(call) else type(call).__call__
                assert inspect.iscoroutinefunction(step), (route.path, call)
                looked_at += 1
    assert looked_at > len(ROWS)


def test_a_feature_in_a_search_needs_its_scope_too(world: World) -> None:
    place = world.place(MINE)
    body = {"feature": access.FEATURE, "contract_id": world.contract_id}
    for scopes, status in ((ALL - {Scope.EMBEDDINGS}, 403), (ALL, 200)):
        headers = bearer(world.key(MINE, scopes))
        path = place.url(f"{access.GALLERY}/search")
        assert world.request("POST", path, json=body, headers=headers).status_code == status


@pytest.mark.parametrize("operation", [one for one in GUARDED if ROWS[one].json is not None])
def test_a13_fields_that_nobody_asked_for_are_refused(world: World, operation: str) -> None:
    row, place = ROWS[operation], world.place(MINE)
    [row] = [one for one in access.rows(world.contract_id) if one.operation == operation]
    headers = bearer(world.key(MINE, ALL))
    for extra in ({"owner": THEIRS}, {"is_admin": True}, {"scopes": ["admin"]}, {"id": 1}):
        body = (row.json or {}) | extra
        answer = world.request(row.method, place.url(row.path), json=body, headers=headers)
        assert code(answer)[0] == 422, answer.text


def test_what_is_not_there_is_not_shown_to_strangers(world: World) -> None:
    assert world.request("GET", "/v1/nothing").status_code == 401
    assert (
        world.request("GET", "/v1/nothing", headers=bearer(world.key(MINE, ALL))).status_code == 404
    )
