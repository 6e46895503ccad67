"""The master key: it wraps the data keys, and never touches the data.

One line of base64 for each key, 32 bytes. The first wraps; the others are retired and only unwrap,
so that a rotation is a new first line, and backups from before it can still be read.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.errors import StartError
from app.security.cipher import KEY_BYTES, DataKey

_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One key. `id` is 16 hex digits that say nothing about it."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        return hmac.digest(self.secret, b"id", hashlib.sha256)[:_ID_BYTES].hex()

    @classmethod
    def generate(cls) -> "MasterKey":
        return cls(os.urandom(KEY_BYTES))

    def line(self) -> str:
        return base64.b64encode(self.secret).decode()


class WrappedByStrangerError(Exception):
    """Wrapped by a key that is not at hand; the message is that key's id."""


class MasterKeys:
    """The current key and the retired ones. A wrapped key is key id (8 bytes) ‖ sealed record."""

    def __init__(self, keys: Iterable[MasterKey]) -> None:
        self._keys = tuple(keys)
        self._open = {key.id: DataKey(key.secret) for key in self._keys}
        self.current = self._keys[0].id

    @classmethod
    def parse(cls, text: str) -> "MasterKeys":
        """From lines; `#` begins a comment. Raises StartError, which never quotes them."""
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        keys = [_key(line) for line in lines if line]
        if not keys:
            raise StartError("the master key is empty")
        return cls(keys)

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._open

    def rotated(self) -> "MasterKeys":
        """With a new first key."""
        return MasterKeys((MasterKey.generate(), *self._keys))

    def without_retired(self) -> "MasterKeys":
        return MasterKeys(self._keys[:1])

    def text(self) -> str:
        first, *retired = (key.line() for key in self._keys)
        lines = ["# Norma's master key: who has it can read the galleries, without it nobody can."]
        lines.append(first)
        if retired:
            lines += ["# Retired: backups from before a rotation need these.", *retired]
        return "\n".join(lines) + "\n"

    def wrap(self, secret: bytes, binding: bytes) -> bytes:
        return bytes.fromhex(self.current) + self._open[self.current].seal(secret, binding)

    def unwrap(self, wrapped: bytes, binding: bytes) -> bytes:
        """Raises WrappedByStrangerError, and CipherError for damage."""
        wrapper = wrapper_of(wrapped)
        if wrapper not in self._open:
            raise WrappedByStrangerError(wrapper)
        return self._open[wrapper].open(wrapped[_ID_BYTES:], binding)

    def rewrap(self, wrapped: bytes, binding: bytes) -> bytes:
        """The same secret under the current key."""
        return self.wrap(self.unwrap(wrapped, binding), binding)


def wrapper_of(wrapped: bytes) -> str:
    """Id of the key that wrapped this."""
    return wrapped[:_ID_BYTES].hex()


def _key(line: str) -> MasterKey:
    try:
        secret = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise StartError(
            f"a master key is {KEY_BYTES} bytes in base64, one to a line "
            f"(make one: head -c {KEY_BYTES} /dev/urandom | base64)"
        )
    return MasterKey(secret)
