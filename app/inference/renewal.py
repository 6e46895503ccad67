"""A session that is opened anew when it keeps failing.

After some failures (CUDA's allocator out of memory is one) ONNX Runtime fails every later run of
the same session, and nothing but a new one helps.
"""

import logging
import time
from collections.abc import Callable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.errors import InferenceFailedError, NormaError
from app.inference.session import Network
from app.inference.turn import Clock
from export.errors import PackageError

PATIENCE = 3
"""Failures in a row from which a session counts as dead."""

PAUSE = 10.0
"""Seconds between two attempts to open a session anew."""

_log = logging.getLogger("norma.inference")


class RenewedSession:
    """Runs a network like the session it holds. Safe to call from many threads at once."""

    def __init__(self, opening: Callable[[], Network], clock: Clock = time.monotonic) -> None:
        """`opening` verifies what it reads. Raises StartError the first time."""
        self._opening = opening
        self._clock = clock
        self._lock = Lock()
        session = opening()
        self._session: Network | None = session
        self._failures = 0
        self._not_before = 0.0
        self.batchable = session.batchable
        self.provider = session.provider

    @property
    def well(self) -> bool:
        """False from `PATIENCE` failures in a row until the next success."""
        return self._failures < PATIENCE

    def run(self, tensor_NCHW: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """As the network's own. Raises InferenceFailedError."""
        session = self._session
        try:
            if session is None:
                raise InferenceFailedError("the network is being opened anew")
            outputs = session.run(tensor_NCHW)
        except InferenceFailedError:
            self._failed(session)
            raise
        self._failures = 0
        return outputs

    def close(self) -> None:
        """Nothing runs by itself."""

    def _failed(self, session: Network | None) -> None:
        with self._lock:
            if session is not self._session:  # another thread was faster
                return
            self._failures += 1
            if self.well or self._clock() < self._not_before:
                return
            self._not_before = self._clock() + PAUSE
            self._session = session = None  # its device memory must be free before
            try:
                self._session = self._opening()
            except (NormaError, PackageError, OSError) as error:
                _log.critical("a network cannot be opened anew: %s", error)
            else:
                _log.error("a network failed %d times in a row and was opened anew", self._failures)
