"""Guards on one connection, below ASGI: what the server itself sets no bounds to.

uvicorn bounds neither the size nor the time of a request's head, waits for ever on a client that
does not read, and keeps every socket that says nothing. Here a head has bounds in bytes, fields and
seconds; a stalled reader is cut off; and where there are too many connections, the one that has
been idle longest makes room.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.heads import Refusal, announces_body, check_field, check_head, malformed

LINGER = 2.0
"""Seconds in which the rest of a body already answered is read and dropped, so that the answer is
not lost to a reset."""

_OVERHEAD = 32 * 1024
"""Bytes of chunk sizes and extensions that a body may cost beyond twice its own length."""

_SLOW = Refusal(408, "head_timeout", "the request's head did not arrive in time")
_FULL = Refusal(503, "overloaded", "too many connections; try again shortly")
_LONG = Refusal(431, "head_too_large", "the request's head is too large")
_FIELDS = Refusal(431, "head_too_large", "the request has too many header fields")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds on a server's connections; `idle` are those that wait, the longest first.

    `refused` is told the code of each refusal, which the application never hears of.
    """

    most: int
    head_bytes: int
    head_fields: int
    head_seconds: float
    write_seconds: float
    refused: Callable[[str], None]
    idle: dict["GuardedProtocol", None] = field(default_factory=dict)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, within `limits`."""

    limits: ClassVar[ConnectionLimits]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on as they are
        super().__init__(*args, **kwargs)
        self._phase: Literal["idle", "head", "body"] = "idle"
        self._messages = self._head_bytes = self._body_bytes = self._wire_bytes = 0
        self._refusal: Refusal | None = None
        self._deaf = False
        self._patience: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.most and not self._make_room():
            self._refuse(_FULL)
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        if self._stall is not None:
            self._stall.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        before, message = self._phase, self._messages
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the request is answered as if it had asked for nothing else
        except httptools.HttpParserError:
            self._refuse(self._refusal or malformed("this is not an HTTP/1.1 request"))
        else:
            # Bytes that hold the end of one message and the beginning of the next are neither's.
            self._meter(before if message == self._messages else "idle", len(data))

    def _meter(self, before: str, size: int) -> None:
        if before == self._phase == "head":
            self._head_bytes += size
            if self._head_bytes > self.limits.head_bytes:
                self._refuse(_LONG)
        if before == self._phase == "body":
            self._wire_bytes += size
            if self._wire_bytes > 2 * self._body_bytes + _OVERHEAD:
                self._refuse(malformed("the body's chunks are mostly overhead"))
        if self._phase != "body" and self._patience is None and not self._answering():
            self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = "head"
        self._messages += 1
        self._head_bytes = self._body_bytes = self._wire_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase != "head":  # it would join the headers of a request that is under way
            self._stop(malformed("trailers are not read"))
        if len(self.headers) >= self.limits.head_fields:
            self._stop(_FIELDS)
        self._stop(check_field(name, value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._stop(_LONG if size > self.limits.head_bytes else None)
        self._stop(check_head(self.parser.get_http_version(), self.headers))
        switching = self.parser.should_upgrade()
        if switching and announces_body(self.headers):  # the parser would drop it
            self._stop(malformed("a body cannot go with Upgrade"))
        self._settle()
        super().on_headers_complete()
        self._phase = "body"
        if switching:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._phase = "idle"
        if self.cycle.response_complete:  # the lingering was not in vain
            self._settle()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch_writing()
        if self.pipeline:
            return
        if self._phase == "body":
            self._patience = self.loop.call_later(LINGER, self.transport.close)
        else:
            self.limits.idle[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _watch_writing(self) -> None:
        if self._stall is None:
            self._stall = self.loop.call_later(self.limits.write_seconds, self._cut_off)

    def _cut_off(self) -> None:
        self._stall = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _make_room(self) -> bool:
        longest = next(iter(self.limits.idle), None)
        if longest is None:
            return False
        longest._settle()
        longest.transport.abort()
        return True

    def _await_head(self) -> None:
        self.limits.idle[self] = None
        self._patience = self.loop.call_later(self.limits.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._phase == "head":
            self._refuse(_SLOW)
        else:
            self.transport.abort()

    def _settle(self) -> None:
        """Nothing is waited for any more."""
        self.limits.idle.pop(self, None)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _stop(self, refusal: Refusal | None) -> None:
        """Leave the parser, if there is a reason; it then fails with an error of its own."""
        if refusal is not None:
            self._refusal = refusal
            raise ValueError(refusal.code)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer outside the application, in its shape, and close; nothing more is listened to."""
        self._settle()
        self._deaf = True
        if self._answering():
            self.cycle.keep_alive = False
            if self._phase != "body" or self.cycle.response_started:
                return  # the damage lies behind a request that still gets its answer
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self._phase == "body":  # it has been answered; this was only the rest
            self.transport.close()
            return
        self.limits.refused(refusal.code)
        self.transport.write(refusal.response())
        self.transport.close()


def guarded(limits: ConnectionLimits) -> type[GuardedProtocol]:
    """The protocol class to serve with."""
    return type("BoundProtocol", (GuardedProtocol,), {"limits": limits})
