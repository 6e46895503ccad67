"""When each key was last used, to the hour: a small file beside the keys, of no importance.

Apart from the keys, so that a service only ever reads those.
"""

import logging
import os
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import orjson

log = logging.getLogger("norma.keys")

_HOUR: Final = 3600


class Uses:
    """Notes uses in a thread: once an hour for each key, whatever the traffic."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keys")
        self._noted: dict[str, int] = {}

    def note(self, key_id: str, now: float) -> None:
        """The key was used; `now` is in seconds since the epoch."""
        hour = int(now) // _HOUR * _HOUR
        if self._noted.get(key_id) != hour:
            self._noted[key_id] = hour
            self._thread.submit(self._write, key_id, hour)

    def close(self) -> None:
        """Everything noted is written."""
        self._thread.shutdown()

    def _write(self, key_id: str, hour: int) -> None:
        """With what other processes have written in the meantime; whole or not at all."""
        made = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(
                os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as file:
                file.write(orjson.dumps({**read(self._path), key_id: hour}))
            made.replace(self._path)
        except OSError as error:
            log.warning("the last use of key %s could not be noted: %s", key_id, error.strerror)


def read(path: Path) -> Mapping[str, int]:
    """The hour of each key's last use; nothing where the file is not there or damaged."""
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return {str(name): hour for name, hour in found.items() if isinstance(hour, int)}
