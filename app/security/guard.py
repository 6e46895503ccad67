"""Lets callers in: who they are by their key, and not too many of them at once."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.security.caller import LOCAL, Caller
from app.security.errors import (
    AuthAttemptsLimitedError,
    KeyConcurrencyLimitedError,
    KeyRateLimitedError,
    SubjectAttemptsLimitedError,
    UnauthenticatedError,
)
from app.security.keyring import KeyRing, refusal
from app.security.keys import Key
from app.security.limits import AtOnce, Clock, Pace, Rate

log = logging.getLogger("norma.keys")

MOST_NAMES: Final = 20_000
"""Keys, addresses and subjects that each limit remembers: some ten megabytes in all, at worst."""

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits. Each key may have its own `requests` and `at_once` instead."""

    requests: Rate
    at_once: int
    bad_keys: Rate
    claims: Rate


class Guard:
    """Every request passes `enter` before anything of its body is read, and `leave` at its end.

    Until there are keys, every caller is the one local owner. For one thread, the event loop's.
    """

    def __init__(self, ring: KeyRing, terms: Terms, clock: Clock = time.monotonic) -> None:
        self.ring = ring
        self._terms = terms
        self._requests: Pace[str] = Pace(MOST_NAMES, clock)
        self._running: AtOnce[str] = AtOnce()
        self._bad_keys: Pace[str] = Pace(MOST_NAMES, clock)
        self._claims: Pace[tuple[str, str, str]] = Pace(MOST_NAMES, clock)

    def close(self) -> None:
        self.ring.close()

    def enter(self, headers: Headers) -> Caller:
        """Who calls, counted as running until `leave`.

        Raises UnauthenticatedError, KeyRateLimitedError, KeyConcurrencyLimitedError, and
        NotReadyError where the keys cannot be read.
        """
        if not self.ring.guarded():
            return LOCAL
        key = self.ring.find(presented(headers))
        self._within_limits(key)
        return Caller(key.spec.owner, key.id, key.spec.scopes)

    def photos(self, caller: Caller, count: int) -> None:
        """Counts a request's photos beyond its first as further requests of the key.

        Raises KeyRateLimitedError; call it before anything is computed.
        """
        key = None if caller.key_id is None else self.ring.get(caller.key_id)
        if key is None or count < 2:
            return
        if wait := self._requests.take(key.id, self._rate(key), count - 1):
            raise KeyRateLimitedError("this key sends more photos than it may", wait)

    def leave(self, caller: Caller) -> None:
        """The request of this caller is over."""
        if caller.key_id is not None:
            self._running.leave(caller.key_id)

    def refuse(self, error: UnauthenticatedError, peer: str) -> None:
        """Counts a bad key. Raises AuthAttemptsLimitedError where the peer has sent too many.

        A good key never gets here: others behind the same address cannot lock its holder out, and
        256 random bits are not to be found by trying.
        """
        wait = self._bad_keys.take(peer, self._terms.bad_keys)
        if wait:
            raise AuthAttemptsLimitedError("too many bad keys from this address", wait) from error
        log.warning("refused a request: key %s is %s", error.key_id or "-", error.reason)

    def claim(self, owner: str, gallery: str, subject: str) -> None:
        """Counts a photo about to be held against a subject, 1:1.

        Raises SubjectAttemptsLimitedError: with enough tries, each answered with a similarity, a
        picture can be bred that passes (hill climbing).
        """
        wait = self._claims.take((owner, gallery, subject), self._terms.claims)
        if wait:
            raise SubjectAttemptsLimitedError("too many tries on this subject", wait)

    def _within_limits(self, key: Key) -> None:
        if not self._running.enter(key.id, key.spec.concurrency or self._terms.at_once):
            raise KeyConcurrencyLimitedError("too many requests of this key are running", 1)
        if wait := self._requests.take(key.id, self._rate(key)):
            self._running.leave(key.id)
            raise KeyRateLimitedError("this key sends more requests than it may", wait)

    def _rate(self, key: Key) -> Rate:
        own = key.spec.rate
        return self._terms.requests if own is None else Rate(own, max(1, round(2 * own)))


def presented(headers: Headers) -> str:
    """The key that a request carries: `Authorization: Bearer KEY` or `X-API-Key: KEY`.

    Raises UnauthenticatedError for none, and for several that differ.
    """
    found = set()
    for name, value in headers:
        if name == b"x-api-key":
            found.add(value.strip())
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            found.add(value[7:].strip())
    if not found:
        raise UnauthenticatedError("send a key: Authorization: Bearer norma_…", "none")
    if len(found) > 1:
        raise refusal("ambiguous", None)
    return found.pop().decode("latin-1")
