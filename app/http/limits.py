"""Bounds on a request's body, and the request's id: pure ASGI, before anything is parsed."""

import asyncio
import re
import uuid
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BodyTimeoutError, BodyTooLargeError, BodyUnsupportedError
from app.http.failures import failure

REQUEST_ID = "x-request-id"
_HIDDEN = re.compile(rb"%(2f|5c)", re.IGNORECASE)

GRACE = 5.0
"""Seconds before a body's rate counts: connections take their time to open up."""

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
class PlainPaths:
    """Finds nothing behind an encoded slash: a proxy's rules by path would not see it as one."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _HIDDEN.search(scope.get("raw_path", b"")):
            answer = failure(Request(scope), 404, "not_found", "Not Found")
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Refuses bodies that are too large as soon as that is known, and bodies that dawdle.

    A body has `timeout` seconds in all, and after a grace `min_rate` bytes a second: who sends one
    byte now and then holds a connection no longer than that. Compressed bodies are not unpacked.
    """

    app: ASGIApp
    max_bytes: int
    timeout: float
    min_rate: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self.app(scope, self._bounded(scope, receive), send)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "0")
        meter = _Meter(self, int(declared) if declared.isdecimal() else 0)
        encoding = headers.get("content-encoding", "identity")
        complete = False

        async def bounded() -> Message:
            nonlocal complete
            if complete:  # what follows the body is the disconnect; that may take its time
                return await receive()
            _check_encoding(encoding)
            meter.check()
            try:
                async with asyncio.timeout_at(meter.deadline()):
                    message = await receive()
            except TimeoutError as error:
                raise BodyTimeoutError("the request body did not arrive in time") from error
            meter.add(len(message.get("body", b"")))
            complete = not message.get("more_body", False)
            return message

        return bounded


def _check_encoding(encoding: str) -> None:
    if encoding.strip().lower() != "identity":
        raise BodyUnsupportedError("compressed bodies are not read", accepted=["identity"])


class _Meter:
    """Counts what has arrived of one body."""

    def __init__(self, limits: BodyLimits, declared: int) -> None:
        self._limits = limits
        self._declared = declared
        self._seen = 0
        self._start = asyncio.get_running_loop().time()

    def add(self, size: int) -> None:
        self._seen += size
        self.check()

    def check(self) -> None:
        limit = self._limits.max_bytes
        if max(self._seen, self._declared) > limit:
            raise BodyTooLargeError(
                f"the request body may have at most {limit} bytes", limit_bytes=limit
            )

    def deadline(self) -> float:
        """When more must have arrived, in the loop's time."""
        patience = self._limits.timeout
        if self._limits.min_rate:
            patience = min(patience, GRACE + self._seen / self._limits.min_rate)
        return self._start + patience
