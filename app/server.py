"""The HTTP server's life: until it is asked to end, and from then on."""

import logging
import signal
from collections.abc import Callable
from time import monotonic
from types import FrameType

import uvicorn

_log = logging.getLogger("norma")


class Server(uvicorn.Server):
    """uvicorn, asked to end by SIGTERM or SIGINT.

    `stopping` is called at once; for `drain` seconds requests are still taken; then the port is
    closed, what is in flight has the configuration's `timeout_graceful_shutdown` seconds, and the
    process ends as one that succeeded. A second SIGINT ends it where it stands.
    """

    def __init__(
        self, config: uvicorn.Config, stopping: Callable[[], None], drain: float = 0.0
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._drain = drain
        self._close_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not remembered as uvicorn does, which would have the process die by the signal after all.
        if self._close_at is None:
            self._stopping()
            self._close_at = monotonic() + self._drain
        elif sig == signal.SIGINT:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        ended = await super().on_tick(counter)
        return ended or (self._close_at is not None and monotonic() >= self._close_at)
