"""What the service wants of a tracer; the one there is needs the `tracing` extra."""

from typing import Protocol

from starlette.types import ASGIApp

from app.errors import StartError
from app.telemetry.meters import Stage


class Tracing(Protocol):
    """Spans of requests and of their stages."""

    def wrapped(self, app: ASGIApp) -> ASGIApp:
        """The application, with a span around each request."""
        ...

    def stage(self, name: Stage, start: float, end: float) -> None:
        """A span of one stage, in `perf_counter` seconds, under the current request's."""
        ...

    def close(self) -> None:
        """Sends what is left, for a few seconds at most."""
        ...


def open_tracing(endpoint: str | None, sample: float) -> Tracing | None:
    """A tracer for an OTLP collector; none, and nothing imported, where there is no endpoint.

    Raises StartError where the extra is not installed.
    """
    if endpoint is None:
        return None
    try:
        from app.telemetry import spans
    except ModuleNotFoundError as error:
        raise StartError(f"NORMA_TRACES needs {error.name}: install norma[tracing]") from error
    return spans.exported_to(endpoint, sample)
