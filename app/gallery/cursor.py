"""Page cursors: where a list goes on, signed for that list alone."""

import base64
import binascii
import hashlib
import hmac

from app.errors import CursorInvalidError

_SIGNATURE = 12


def encode(secret: str, list_name: str, after: str) -> str:
    """A cursor for the list `list_name` behind the entry `after`."""
    text = after.encode()
    return base64.urlsafe_b64encode(_sign(secret, list_name, text) + text).decode().rstrip("=")


def decode(secret: str, list_name: str, cursor: str | None) -> str:
    """What `encode` was given; the empty string for no cursor. Raises CursorInvalidError."""
    if cursor is None:
        return ""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        signature, text = raw[:_SIGNATURE], raw[_SIGNATURE:]
        if hmac.compare_digest(signature, _sign(secret, list_name, text)):
            return text.decode()
    except (binascii.Error, ValueError):
        pass
    raise CursorInvalidError("this cursor is not from this list")


def _sign(secret: str, list_name: str, text: bytes) -> bytes:
    message = list_name.encode() + b"\0" + text
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()[:_SIGNATURE]
