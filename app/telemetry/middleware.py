"""Every request counted, timed and logged: pure ASGI, outside of everything but its id."""

import logging
from dataclasses import dataclass
from threading import Event
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.metrics import Metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ELSEWHERE = "unmatched"
"""The route of a request that no route takes: its path is the caller's text."""

HEALTH = frozenset({"/healthz", "/readyz"})
_log = logging.getLogger("norma.access")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, in words that name nobody."""

    method: str
    route: str
    status: int
    code: str | None
    seconds: float
    request_id: str | None = None
    key_id: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """Counts requests into `metrics` and writes a line for each into the log.

    Once `stopping` is set, every answer asks for its connection to be closed.
    """

    app: ASGIApp
    metrics: Metrics
    stopping: Event

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = perf_counter()
        status = 500  # what the server answers where the application gave nothing

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.stopping.is_set():
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        with self.metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, watched)
            except Exception:  # the server answers it, outside of us
                scope.setdefault("state", {})["error_code"] = "internal_error"
                raise
            finally:
                done = exchange(scope, status, perf_counter() - start)
                self._count(done)
                tell(done)

    def _count(self, one: Exchange) -> None:
        self.metrics.requests.labels(one.method, one.route, str(one.status)).inc()
        self.metrics.request_seconds.labels(one.method, one.route).observe(one.seconds)
        if one.code is not None:
            self.metrics.refused(one.code)


def tell(one: Exchange) -> None:
    """The access line. No path: it holds names."""
    quiet = one.route in HEALTH and one.status < 400
    fields = {
        "method": one.method,
        "route": one.route,
        "status": one.status,
        "ms": round(one.seconds * 1000, 1),
        "code": one.code,
        "request_id": one.request_id,
        "key_id": one.key_id,
        "trace_id": one.trace_id,
    }
    _log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})


def exchange(scope: Scope, status: int, seconds: float) -> Exchange:
    """What is known of a request once it has been answered."""
    state = scope.get("state", {})
    return Exchange(
        method=scope["method"] if scope["method"] in METHODS else "other",
        route=getattr(scope.get("route"), "path", ELSEWHERE),
        status=status,
        code=state.get("error_code"),
        seconds=seconds,
        request_id=state.get("request_id"),
        key_id=getattr(state.get("caller"), "key_id", None),
        trace_id=state.get("trace_id"),
    )
