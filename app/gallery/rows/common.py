"""What the tables share: ids, time, JSON."""

import json
import secrets
import time

from app.errors import InputError
from app.gallery.types import Json

MAX_JSON_BYTES = 16 * 1024


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def new_uid() -> str:
    """An unguessable id that grows with time, so that inserts touch one end of its index."""
    return f"{now():012x}{secrets.token_hex(10)}"


def to_json(value: Json) -> str:
    """Canonical JSON. Raises InputError for NaN, lone surrogates, or more than 16 KiB.

    One NaN let in here would later fail every answer that it is part of.
    """
    try:
        text = json.dumps(
            value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True
        )
        size = len(text.encode())
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"metadata is not JSON: {error}") from error
    if size > MAX_JSON_BYTES:
        raise InputError(f"metadata takes {size} bytes, at most {MAX_JSON_BYTES} are kept")
    return text


def from_json(text: str) -> Json:
    value: Json = json.loads(text)
    return value
