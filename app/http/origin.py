"""Keeps web pages out of a service that needs no keys.

A browser on this machine reaches loopback for any page that it shows: by a form sent elsewhere, or
by a name that its owner points at 127.0.0.1 (DNS rebinding). Both show in what the browser says.
"""

import re
from collections.abc import Iterable
from typing import Final

from app.security.errors import OriginRefusedError

_LOCAL: Final = re.compile(rb"(localhost|[0-9.]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.IGNORECASE)
"""No page can have these in its address but this machine's own and those of plain addresses."""


def check(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises OriginRefusedError for a request by another name, or from a page of another host."""
    host = origin = b""
    for name, value in headers:
        if name == b"host":
            host = value
        elif name == b"origin":
            origin = value
    if _LOCAL.fullmatch(host) is None or (origin and origin.partition(b"//")[2] != host):
        raise OriginRefusedError(
            "without keys only this machine's own programs and pages may call, as localhost or "
            "127.0.0.1: make a key with `norma keys create`"
        )
