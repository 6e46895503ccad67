"""One process per data directory: an advisory lock that names its holder."""

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import IO

from app.errors import StartError


class DirectoryLock:
    """Held from construction to `release`; the kernel drops it when the process dies."""

    def __init__(self, path: Path) -> None:
        """Raises StartError, naming the holder, where another process has it."""
        self._file: IO[str] = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(self._file)
            self._file.close()
            raise StartError(
                f"{path.parent} is in use by {holder}: one data directory serves one process"
            ) from None
        self._file.truncate(0)
        json.dump(
            {"pid": os.getpid(), "host": socket.gethostname(), "since": int(time.time())},
            self._file,
        )
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        said = json.loads(file.read())
        return f"process {said['pid']} on {said['host']}"
    except (ValueError, KeyError):
        return "another process"
