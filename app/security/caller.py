"""Who sent a request."""

from dataclasses import dataclass
from typing import Final

from app.security.errors import ScopeMissingError
from app.security.scopes import ALL, Scope

FEWEST_DIGITS: Final = 3
"""Decimals of a similarity to an enrolled face that every caller may be told."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose data a request is about, by which key it came, and what that key allows.

    `key_id` is the public half of the key: fit for logs and records. It is None where the service
    runs without keys.
    """

    owner: str
    key_id: str | None
    scopes: frozenset[Scope]

    @property
    def score_digits(self) -> int:
        """Decimals of the similarities to enrolled faces that it is told.

        Fine steps help whoever breeds a picture that passes (hill climbing); with features at hand
        one would compute them oneself.
        """
        return 6 if Scope.EMBEDDINGS in self.scopes else FEWEST_DIGITS

    def require(self, *scopes: Scope) -> None:
        """Raises ScopeMissingError unless the key has all of these."""
        missing = [scope for scope in scopes if scope not in self.scopes]
        if missing:
            raise ScopeMissingError(
                f"this needs a key with the scope {' and '.join(missing)}", scopes=missing
            )


LOCAL_OWNER: Final = "local"
"""Whose everything is while there are no keys, and the owner of keys that name none."""

LOCAL: Final = Caller(LOCAL_OWNER, None, ALL)
