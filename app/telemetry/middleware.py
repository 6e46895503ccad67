"""Every request counted and timed: pure ASGI, outside of everything but the request's id."""

from dataclasses import dataclass
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.metrics import Metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ELSEWHERE = "unmatched"
"""The route of a request that no route takes: its path is the caller's text."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, in words that name nobody."""

    method: str
    route: str
    status: int
    code: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Counts requests into `metrics`."""

    app: ASGIApp
    metrics: Metrics

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
            await send(message)

        with self.metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, watched)
            except Exception:  # the server answers it, outside of us
                scope.setdefault("state", {})["error_code"] = "internal_error"
                raise
            finally:
                self._count(exchange(scope, status, perf_counter() - start))

    def _count(self, one: Exchange) -> None:
        self.metrics.requests.labels(one.method, one.route, str(one.status)).inc()
        self.metrics.request_seconds.labels(one.method, one.route).observe(one.seconds)
        if one.code is not None:
            self.metrics.refusals.labels(one.code).inc()


def exchange(scope: Scope, status: int, seconds: float) -> Exchange:
    """What is known of a request once it has been answered."""
    return Exchange(
        method=scope["method"] if scope["method"] in METHODS else "other",
        route=getattr(scope.get("route"), "path", ELSEWHERE),
        status=status,
        code=scope.get("state", {}).get("error_code"),
        seconds=seconds,
    )
