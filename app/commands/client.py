"""A small client of a running service, for the commands that need one."""

import http.client
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

from app.errors import StartError

KEY = "NORMA_KEY"
ATTEMPTS = 20
PIECE = 1024 * 1024


class Client:
    """Asks one service. The key comes from the environment, so that no process list shows it."""

    def __init__(self, url: str) -> None:
        """Raises StartError for anything but http:// and https:// URLs."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StartError(f"{url}: not the URL of a service, as http://127.0.0.1:8000")
        self._secure = parts.scheme == "https"
        self._place = (parts.hostname, parts.port)
        self._base = parts.path.rstrip("/")
        key = os.environ.get(KEY)
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON. What may succeed later is tried again for a while.

        Raises StartError with the service's own words.
        """
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                with self._sent(method, path, query, body, headers) as answer:
                    text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                if last:
                    raise StartError(f"{self._place[0]} does not answer: {error}") from error
                time.sleep(1)
                continue
            wait = answer.headers.get("retry-after")
            if answer.status < 400:
                return dict(json.loads(text))
            if wait is None or last:
                raise StartError(_refusal(answer.status, text))
            time.sleep(float(wait))
        raise AssertionError("the last attempt returns or raises")

    def stream(self, path: str) -> Iterator[bytes]:
        """The answer's bytes as they come. Raises StartError, too where they end too early."""
        try:
            with self._sent("GET", path, None, None, None) as answer:
                if answer.status >= 400:
                    raise StartError(_refusal(answer.status, answer.read()))
                while piece := answer.read(PIECE):
                    yield piece
        except (OSError, http.client.HTTPException) as error:
            raise StartError(f"{self._place[0]} broke off: {error}") from error

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Iterator[http.client.HTTPResponse]:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(*self._place, timeout=120)
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._base + path + (f"?{urlencode(given)}" if given else "")
        try:
            connection.request(method, target, body, {**self._headers, **(headers or {})})
            yield connection.getresponse()
        finally:
            connection.close()


def _refusal(status: int, text: bytes) -> str:
    try:
        error = json.loads(text)["error"]
        return f"{error['message']} ({error['code']})"
    except (ValueError, KeyError, TypeError):
        return f"the service answered {status}"
