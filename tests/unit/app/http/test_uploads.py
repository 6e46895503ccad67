"""Each request passes the bounds that fit its route."""

import asyncio

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.uploads import Bounds, LongUploads


def taken(path: str, kind: str = "http") -> str:
    """Whose bounds a request of that path passes."""
    seen: list[str] = []

    def bounds(name: str) -> Bounds:
        def bounded(_: ASGIApp) -> ASGIApp:
            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                seen.append(name)

            return app

        return bounded

    async def nothing(*_: object) -> Message:
        return {}

    uploads = LongUploads(
        nothing, usual=bounds("usual"), photos=bounds("photos"), uploads=bounds("uploads")
    )
    asyncio.run(uploads({"type": kind, "path": path}, nothing, nothing))
    return seen[0]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/verify", "usual"),
        ("/v1/detect", "usual"),
        ("/v1/embed", "photos"),
        ("/v1/embed/", "usual"),
        ("/v1/galleries/staff/identify", "photos"),
        ("/v1/galleries/staff/subjects/anna/faces", "photos"),
        ("/v1/galleries/staff/subjects/anna/faces/features", "usual"),
        ("/v1/galleries/a/b/identify", "usual"),
        ("/v1/galleries/staff/imports", "uploads"),
        ("/v1/galleries/staff/verify/anna", "usual"),
    ],
)
def test_several_photos_have_more_room_and_imports_the_most(path: str, expected: str) -> None:
    assert taken(path) == expected


def test_what_is_no_request_has_none() -> None:
    assert taken("/v1/embed", "lifespan") == "usual"
