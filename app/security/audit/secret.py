"""The log's own secret: made once, kept beside the log, wrapped by the master key.

It stays the same when the master key changes, or old entries could not be checked any more.
"""

import os
from pathlib import Path
from typing import IO

from app.errors import StartError
from app.gallery.files import write_durably
from app.security.cipher import KEY_BYTES, CipherError
from app.security.keysource import KeySource
from app.security.masterkey import MasterKeys, wrapper_of

_BINDING = b"norma audit"


def read(path: Path, source: KeySource) -> bytes:
    """The secret; wrapped anew where it was by a retired key, or by none. Raises StartError."""
    try:
        kept = path.read_bytes()
    except OSError as error:
        raise StartError(f"the audit log's secret {path} cannot be read: {error}") from error
    if len(kept) == KEY_BYTES:
        secret, keys = kept, source.keys(None)
    else:
        keys = source.keys(wrapper_of(kept))
        secret = _unwrapped(path, kept, keys)
    if keys is not None and (len(kept) == KEY_BYTES or wrapper_of(kept) != keys.current):
        _write(path, keys.wrap(secret, _BINDING))
    return secret


def create(path: Path, source: KeySource) -> bytes:
    """A new one. Raises StartError."""
    secret = os.urandom(KEY_BYTES)
    keys = source.keys(None)
    _write(path, secret if keys is None else keys.wrap(secret, _BINDING))
    return secret


def _unwrapped(path: Path, kept: bytes, keys: MasterKeys | None) -> bytes:
    try:
        if keys is not None:
            return keys.unwrap(kept, _BINDING)
    except CipherError:
        pass
    raise StartError(f"the audit log's secret {path} is damaged: restore it")


def _write(path: Path, kept: bytes) -> None:
    def write(file: IO[bytes]) -> None:
        file.write(kept)

    try:
        write_durably(path, write, mode=0o600)
    except OSError as error:
        raise StartError(f"the audit log's secret {path} cannot be written: {error}") from error
