"""Authenticated encryption of what is stored: AES-256-GCM (NIST SP 800-38D).

A sealed record is nonce (12 random bytes) ‖ ciphertext ‖ tag (16). Random nonces allow 2³² records
under one key. What a record is bound to is authenticated with it: a record moved elsewhere does
not open.
"""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16


class CipherError(Exception):
    """Damaged, forged, sealed with another key, or bound to something else."""


class DataKey:
    """32 random bytes, and the separate keys for separate uses that are derived from them.

    Thread-safe.
    """

    def __init__(self, secret: bytes) -> None:
        self._records = AESGCM(derived(secret, b"records"))
        self._blind = derived(secret, b"blind")
        self._files = derived(secret, b"files")

    def seal(self, plain: bytes, binding: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._records.encrypt(nonce, plain, binding)

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        """Raises CipherError."""
        try:
            return self._records.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], binding)
        except (InvalidTag, ValueError) as error:
            raise CipherError("does not open") from error

    def blind(self, value: bytes) -> bytes:
        """The same 32 bytes for the same value, which say nothing about it without the key."""
        return hmac.digest(self._blind, value, hashlib.sha256)

    def file(self, salt: bytes, binding: bytes) -> "FileCipher":
        """The cipher of one file, whose `salt` is random and used once."""
        return FileCipher(derived(self._files, salt), binding)


class FileCipher:
    """Seals a file chunk by chunk, or opens it in the same order and the same chunks.

    A chunk's place is its nonce, so none can be moved, left out or repeated; that none is missing
    at the end is the reader's to know from the length.
    """

    def __init__(self, key: bytes, binding: bytes) -> None:
        self._aead = AESGCM(key)
        self._binding = binding
        self._chunks = 0

    def seal(self, chunk: bytes | memoryview) -> bytes:
        """TAG_BYTES longer than the chunk."""
        return self._aead.encrypt(self._nonce(), chunk, self._binding)

    def open_into(self, sealed: bytes | memoryview, into: memoryview) -> None:
        """Raises CipherError."""
        try:
            self._aead.decrypt_into(self._nonce(), sealed, self._binding, into)
        except InvalidTag as error:
            raise CipherError("does not open") from error

    def _nonce(self) -> bytes:
        self._chunks += 1
        return self._chunks.to_bytes(NONCE_BYTES, "big")


def derived(secret: bytes, use: bytes) -> bytes:
    """A key of its own for one use: one block of HKDF-Expand (RFC 5869), whose first step a secret
    that is uniformly random does without."""
    return hmac.digest(secret, use + b"\x01", hashlib.sha256)


def encoded(*parts: str) -> bytes:
    """The parts so that no other parts give the same bytes."""
    return b"".join(b"%d:%b" % (len(raw), raw) for raw in (part.encode() for part in parts))
