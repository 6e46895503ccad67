"""What a route takes in its query."""

import asyncio
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel

from app.errors import InputError
from app.http.routing import StrictRoute


class Options(BaseModel):
    threshold: float = 0.5
    tag: list[str] = []


router = APIRouter(route_class=StrictRoute)


@router.get("/options")
async def options(given: Annotated[Options, Query()]) -> Options:
    return given


@router.get("/limit")
async def limit(limit: int = 10) -> int:
    return limit


def get(url: str) -> Any:  # noqa: ANN401 - JSON
    """The answer of an application that has these two routes and no more."""
    app = FastAPI()
    app.include_router(router)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.get(f"http://test{url}")

    return asyncio.run(ask()).json()


def test_what_is_known_is_taken_and_lists_more_than_once() -> None:
    found = get("/options?threshold=0.9&tag=a&tag=b")
    assert found == {"threshold": 0.9, "tag": ["a", "b"]}
    assert get("/limit?limit=3") == 3


@pytest.mark.parametrize("query", ["/options?treshold=0.9", "/limit?limit=1&x=", "/limit?=1"])
def test_what_is_unknown_is_refused(query: str) -> None:
    with pytest.raises(InputError, match="not known here"):
        get(query)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("/options?threshold=0.1&threshold=0.9", "threshold"),
        ("/limit?limit=1&limit=1", "limit"),
        ("/limit?limit&limit", "limit"),
    ],
)
def test_one_value_cannot_be_given_twice(query: str, name: str) -> None:
    with pytest.raises(InputError, match="more than once") as refused:
        get(query)
    assert refused.value.details == {"repeated": [name]}
