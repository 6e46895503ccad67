"""Keys in a temporary directory, and clocks that tests turn."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.security.caller import Caller
from app.security.guard import Guard, Terms
from app.security.keyring import KeyRing
from app.security.keys import KeySpec, KeyStore
from app.security.limits import Rate
from app.security.scopes import ALL, Scope
from app.security.token import Token

NOW = 1_800_000_000


@dataclass
class Clock:
    """Stands still until it is turned."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Keys:
    """A store, a ring on it, and the ring's two clocks: monotonic, and seconds since the epoch."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    wall: Clock = field(default_factory=lambda: Clock(NOW))

    def __post_init__(self) -> None:
        self.store = KeyStore(self.directory)
        self.ring = KeyRing(self.store, self.clock, self.wall)

    def make(self, owner: str = "mine", scopes: frozenset[Scope] = ALL, **more: float) -> Token:
        spec = KeySpec("test", owner, scopes, **more)  # type: ignore[arg-type]
        return self.store.create(spec, NOW)

    def guard(self, **terms: Rate | int) -> Guard:
        """A guard with limits that no test meets by chance."""
        plenty = Rate(1e6, 1000)
        chosen = {"requests": plenty, "at_once": 1000, "bad_keys": plenty, "claims": plenty}
        return Guard(self.ring, Terms(**(chosen | terms)), self.clock)  # type: ignore[arg-type]


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    made = Keys(tmp_path / "access")
    yield made
    made.ring.close()


def headers(token: Token) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"localhost"), (b"authorization", f"Bearer {token.text}".encode())]


def owner_of(caller: Caller) -> tuple[str, str | None]:
    return caller.owner, caller.key_id
