"""The keys in memory, as the disk has them: what a request is checked against."""

import logging
import sqlite3
import time
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

from app.errors import NotReadyError, StartError
from app.security.errors import UnauthenticatedError
from app.security.keys import Key, KeyStore, read_all
from app.security.limits import Clock
from app.security.token import Token
from app.security.uses import Uses

log = logging.getLogger("norma.keys")

REFRESH: Final = 0.25
"""Seconds after which the disk is asked whether a key has changed: how late a revocation is."""
STALE: Final = 1.0
"""Seconds after which nobody is let in while the disk does not answer."""
_NO_DIGEST: Final = bytes(32)


class KeyRing:
    """Every key of a store, looked up by id. For one thread, the event loop's."""

    def __init__(
        self, store: KeyStore, clock: Clock = time.monotonic, now: Callable[[], float] = time.time
    ) -> None:
        """Raises StartError where the files are there and cannot be used."""
        self._store = store
        self._clock = clock
        self._now = now
        self._uses = Uses(store.uses)
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._version = -1
        self._pepper = b""
        self._keys: dict[str, Key] = {}
        self._checked = clock()
        with store.explained():
            self._read()

    def close(self) -> None:
        self._uses.close()
        if self._connection is not None:
            self._connection.close()

    def guarded(self) -> bool:
        """Whether there has ever been a key; then nobody may call without one."""
        self._refresh()
        return self._connection is not None

    def active(self) -> list[Key]:
        """The keys that are good now."""
        self._refresh()
        return [key for key in self._keys.values() if key.refused_at(self._now()) is None]

    def get(self, key_id: str) -> Key | None:
        """The key of this id, as it was last read."""
        return self._keys.get(key_id)

    def find(self, text: str) -> Key:
        """The key that this is the text of. Raises UnauthenticatedError, alike whatever is wrong.

        An unknown id and a wrong secret take the same steps. Before either is refused the disk is
        asked, so that a new key is good at once.
        """
        self._refresh()
        token = Token.parse(text)
        if token is None:
            raise refusal("malformed", None)
        key = self._match(token)
        if key is None:
            self._refresh(always=True)
            key = self._match(token)
        if key is None:
            raise refusal("unknown", token.key_id)
        now = self._now()
        if (reason := key.refused_at(now)) is not None:
            raise refusal(reason, key.id)
        self._uses.note(key.id, now)
        return key

    def _match(self, token: Token) -> Key | None:
        key = self._keys.get(token.key_id)
        digest = token.digest(self._pepper)
        same = compare_digest(digest, _NO_DIGEST if key is None else key.digest)
        return key if same else None

    def _refresh(self, always: bool = False) -> None:
        """Raises NotReadyError where the disk does not answer: a key may have been revoked."""
        now = self._clock()
        if now - self._checked < REFRESH and not always:
            return
        try:
            self._read()
        except (sqlite3.Error, OSError, StartError) as error:
            if _is_busy(error) and now - self._checked < STALE:
                return  # somebody is writing: the event loop does not wait long
            log.error("the keys cannot be read: %s", error)
            raise NotReadyError("the keys cannot be read") from error
        self._checked = now

    def _read(self) -> None:
        if self._connection is None and not self._store.exists():
            return
        inode = self._store.path.stat().st_ino
        if self._connection is None or inode != self._inode:  # the first key, or a backup put back
            self._open()
            self._inode = inode
        assert self._connection is not None  # noqa: S101 - opened above
        # Grows with every commit of another connection, this process's or the command line's.
        [version] = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._keys = {key.id: key for key in read_all(self._connection)}
            self._version = version

    def _open(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._pepper = self._store.pepper()
        self._connection = self._store.connect(patience=0.1)
        self._version = -1


def _is_busy(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def refusal(reason: str, key_id: str | None) -> UnauthenticatedError:
    """What every bad key is answered with; the reason is for the log alone."""
    return UnauthenticatedError(
        "this key is not valid: it may be mistyped, unknown, revoked or expired", reason, key_id
    )
