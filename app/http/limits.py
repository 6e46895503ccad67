"""Bounds on a request's body, and the request's id: pure ASGI, before anything is parsed."""

import asyncio
import re
import uuid
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BodyTimeoutError, BodyTooLargeError

REQUEST_ID = "x-request-id"
_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")


class RequestId:
    """Gives every request an id, the caller's where it is a plain one, and answers with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _ID.match(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_id)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Refuses bodies that are too large as soon as that is known, and bodies that dawdle."""

    app: ASGIApp
    max_bytes: int
    timeout: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self.app(scope, self._bounded(scope, receive), send)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        declared = Headers(scope=scope).get("content-length", "0")
        deadline = asyncio.get_running_loop().time() + self.timeout
        received = int(declared) if declared.isdecimal() else 0
        self_limited = _Meter(self.max_bytes, received)
        complete = False

        async def bounded() -> Message:
            nonlocal complete
            if complete:  # what follows the body is the disconnect; that may take its time
                return await receive()
            self_limited.check()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise BodyTimeoutError("the request body did not arrive in time") from error
            self_limited.add(len(message.get("body", b"")))
            complete = not message.get("more_body", False)
            return message

        return bounded


class _Meter:
    def __init__(self, limit: int, declared: int) -> None:
        self._limit = limit
        self._declared = declared
        self._seen = 0

    def add(self, size: int) -> None:
        self._seen += size
        self.check()

    def check(self) -> None:
        if max(self._seen, self._declared) > self._limit:
            raise BodyTooLargeError(
                f"the request body may have at most {self._limit} bytes", limit_bytes=self._limit
            )
