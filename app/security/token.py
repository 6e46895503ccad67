"""The text of a key, `norma_<id>_<secret>`, and what is kept of it.

The secret is 256 random bits, so nothing has to slow a guesser down: one keyed BLAKE2b (RFC 7693)
takes the place of a password hash. Its key, the pepper, lies outside the database of keys, and the
digest covers the id, so that a digest serves no other row.
"""

import re
import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Self

PREFIX: Final = "norma_"
"""Fixed, so that scanners of code and logs know a key when they see one."""
ID_HEX: Final = 16
_SECRET_BYTES: Final = 32
_FORM: Final = re.compile(rf"{PREFIX}([0-9a-f]{{{ID_HEX}}})_([0-9a-f]{{{2 * _SECRET_BYTES}}})")


@dataclass(frozen=True, slots=True)
class Token:
    """A key as its holder sends it."""

    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def mint(cls) -> Self:
        """A new key, from the system's random numbers."""
        return cls(secrets.token_hex(ID_HEX // 2), secrets.token_hex(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for whatever is not written like a key."""
        found = _FORM.fullmatch(text)
        return None if found is None else cls(found[1], found[2])

    @property
    def text(self) -> str:
        """The whole key: to be shown once."""
        return f"{PREFIX}{self.key_id}_{self.secret}"

    def digest(self, pepper: bytes) -> bytes:
        """32 bytes from which the key cannot be told."""
        return blake2b(f"{self.key_id}_{self.secret}".encode(), key=pepper, digest_size=32).digest()
