"""The door as HTTP sees it: before the body, in the one shape, with the right headers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.http import failures
from app.http.access import Access, CallerDep, needs
from app.http.limits import RequestId
from app.security.guard import Guard
from app.security.keyring import REFRESH
from app.security.limits import Rate
from app.security.scopes import Scope
from app.security.token import Token
from tests.unit.app.security.conftest import Keys

Answer = tuple[int, str]


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    made = Keys(tmp_path / "access")
    with closing(made.ring):
        yield made


def application(guard: Guard, docs: bool = False, local: bool = True) -> FastAPI:
    """Two routes behind the door, one of them slow until it is told to end."""
    app = FastAPI()
    app.state.begun = asyncio.Event()
    app.state.hold = asyncio.Event()
    failures.install(app)

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    @app.post("/v1/thing", dependencies=[needs(Scope.READ)])
    async def thing(caller: CallerDep, body: dict[str, int]) -> str:
        return caller.owner

    @app.get("/v1/slow", dependencies=[needs(Scope.READ)])
    async def slow() -> str:
        app.state.begun.set()
        await app.state.hold.wait()
        return "slow"

    @app.get("/v1/broken", dependencies=[needs(Scope.READ)])
    async def broken() -> str:
        raise ZeroDivisionError

    app.add_middleware(Access, guard=guard, trusted=(), docs=docs, local=local)
    app.add_middleware(RequestId)
    return app


def client(app: FastAPI, host: str = "127.0.0.1:8000") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("203.0.113.7", 1))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


def bearer(token: Token) -> dict[str, str]:
    return {"authorization": f"Bearer {token.text}"}


def code(answer: httpx.Response) -> Answer:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_body_is_not_read_of_who_has_no_key(keys: Keys) -> None:
    keys.make()
    keys.clock.at += REFRESH
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"{}"

    async def ask() -> httpx.Response:
        async with client(application(keys.guard())) as http:
            return await http.post("/v1/thing", content=body())

    answer = asyncio.run(ask())
    assert code(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="norma"'
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert read == []


def test_a02_a_key_in_the_query_is_ignored_and_warned_of(
    keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    made = keys.make()
    keys.clock.at += REFRESH

    async def ask(**more: dict[str, str]) -> Answer:
        async with client(application(keys.guard())) as http:
            found = await http.post(f"/v1/thing?api_key={made.text}", json={}, **more)
            return found.status_code, found.text

    assert asyncio.run(ask())[0] == 401
    assert "came in a request's query" in caplog.text
    assert made.secret not in caplog.text
    caplog.clear()
    assert asyncio.run(ask(headers=bearer(made))) == (200, '"mine"')
    assert "came in a request's query" in caplog.text


def test_a11_a12_a_limit_says_which_it_is_and_when_to_come_back(keys: Keys) -> None:
    made = keys.make()
    keys.clock.at += REFRESH
    guard = keys.guard(requests=Rate(0.1, 1), bad_keys=Rate(0.05, 1))

    async def ask(*sent: dict[str, str]) -> list[tuple[Answer, str | None]]:
        async with client(application(guard)) as http:
            found = [await http.post("/v1/thing", json={}, headers=one) for one in sent]
        return [(code(one), one.headers.get("retry-after")) for one in found if one.is_error]

    forged = {"x-forwarded-for": "198.51.100.1"}
    assert asyncio.run(ask(bearer(made), bearer(made), {}, forged)) == [
        ((429, "key_rate_limited"), "10"),
        ((401, "unauthenticated"), None),
        ((429, "auth_attempts_limited"), "20"),
    ]


def test_a_place_is_given_back_however_a_request_ends(keys: Keys) -> None:
    made = keys.make()
    keys.clock.at += REFRESH
    app = application(keys.guard(at_once=1))

    async def ask() -> list[int]:
        async with client(app) as http:
            running = asyncio.create_task(http.get("/v1/slow", headers=bearer(made)))
            await app.state.begun.wait()
            refused = await http.get("/v1/slow", headers=bearer(made))
            assert code(refused) == (429, "key_concurrency_limited")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            broken = await http.get("/v1/broken", headers=bearer(made))
            app.state.hold.set()
            after = await http.get("/v1/slow", headers=bearer(made))
            return [broken.status_code, after.status_code]

    assert asyncio.run(ask()) == [500, 200]


@pytest.mark.parametrize(("docs", "status"), [(True, 200), (False, 401)])
def test_a16_documentation_is_open_only_where_it_is_said(
    keys: Keys, docs: bool, status: int
) -> None:
    keys.make()
    keys.clock.at += REFRESH

    async def ask() -> list[int]:
        async with client(application(keys.guard(), docs=docs)) as http:
            return [(await http.get(path)).status_code for path in ("/openapi.json", "/healthz")]

    assert asyncio.run(ask()) == [status, 200]


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1:8000", {}, 200),
        ("localhost:8000", {}, 200),
        ("[::1]:8000", {}, 200),
        ("127.0.0.1:8000", {"origin": "http://127.0.0.1:8000"}, 200),
        ("rebound.example", {}, 403),
        ("localhost.example", {}, 403),
        ("127.0.0.1.example:8000", {}, 403),
        ("127.0.0.1:8000", {"origin": "https://shop.example"}, 403),
        ("127.0.0.1:8000", {"origin": "http://127.0.0.1:3000"}, 403),
        ("127.0.0.1:8000", {"origin": "null"}, 403),
    ],
)
def test_a17_without_keys_no_web_page_of_another_host_is_served(
    keys: Keys, host: str, headers: dict[str, str], status: int
) -> None:
    async def ask(local: bool, **more: str) -> int:
        async with client(application(keys.guard(), local=local), host) as http:
            sent = headers | more
            return (await http.post("/v1/thing", json={}, headers=sent)).status_code

    assert asyncio.run(ask(local=True)) == status
    assert asyncio.run(ask(local=False)) == 200, "behind a proxy that authenticates"
    made = keys.make()
    keys.clock.at += REFRESH
    assert asyncio.run(ask(local=True, **bearer(made))) == 200, "a page does not have the key"
