"""What is encrypted in a gallery, and what each piece is bound to.

One data key for each gallery, wrapped by the master key, in the gallery's row: erasing a gallery
destroys it, with it whatever a disk still keeps of the rows. A key for each subject would be worth
more only if it lived outside of the database and its backups; inside, a backup brings it back with
the rows.

The vault is the exception: its pictures are large, and a subject's key destroys them all at once
wherever the disk may still keep their pages. See rows/vault.py.

Sealed: features, photos' hashes, subjects' names, metadata, tags and consent; keepsakes; the index
files.
Blinded (equal stays equal, by a keyed hash): the terms that searches filter by, the digests of
requests.
Legible: gallery names and metadata, the callers' own subject ids, counts, times, norms, qualities,
boxes, expiry.
"""

import os
from dataclasses import dataclass, field

from app.errors import GalleryCorruptError
from app.security.cipher import KEY_BYTES, CipherError, DataKey, FileCipher, encoded
from app.security.masterkey import MasterKeys, WrappedByStrangerError


@dataclass(frozen=True, slots=True)
class Seal:
    """One gallery's data key, bound to its owner, its uid and its contract."""

    key: DataKey = field(repr=False)
    place: bytes

    def close(self, plain: bytes, *about: str) -> bytes:
        """Sealed for the thing that `about` names."""
        return self.key.seal(plain, self._binding(about))

    def open(self, sealed: bytes, *about: str) -> bytes:
        """Raises GalleryCorruptError where it was sealed for something else, or is damaged."""
        try:
            return self.key.open(sealed, self._binding(about))
        except CipherError:
            raise GalleryCorruptError(
                f"a stored {about[0]} does not open with its gallery's key: "
                "it is damaged, or was moved here from elsewhere"
            ) from None

    def blind(self, value: bytes) -> bytes:
        return self.key.blind(value)

    def file(self, salt: bytes, header: bytes) -> FileCipher:
        return self.key.file(salt, self.place + header)

    def _binding(self, about: tuple[str, ...]) -> bytes:
        return self.place + encoded(*about)


class Seals:
    """Makes and opens the galleries' data keys, each once. Thread-safe."""

    def __init__(self, keys: MasterKeys | None) -> None:
        self.keys = keys
        self._known: dict[tuple[str, str, str, bytes], Seal] = {}

    def new_key(self, owner: str, uid: str, contract_id: str) -> bytes | None:
        """A fresh data key for a gallery, wrapped; None where nothing is encrypted."""
        if self.keys is None:
            return None
        return self.keys.wrap(os.urandom(KEY_BYTES), _place(owner, uid, contract_id))

    def of(self, owner: str, uid: str, contract_id: str, wrapped: bytes | None) -> Seal | None:
        """A gallery's seal. Raises GalleryCorruptError where its key does not open."""
        if wrapped is None or self.keys is None:
            return None
        row = (owner, uid, contract_id, wrapped)
        known = self._known.get(row)
        if known is None:
            place = _place(owner, uid, contract_id)
            known = self._known[row] = Seal(DataKey(self._unwrapped(wrapped, place)), place)
        return known

    def rewrapped(self, owner: str, uid: str, contract_id: str, wrapped: bytes) -> bytes:
        """The same data key under the current master key."""
        place = _place(owner, uid, contract_id)
        secret = self._unwrapped(wrapped, place)
        assert self.keys is not None  # noqa: S101 - else it could not be unwrapped
        return self.keys.wrap(secret, place)

    def _unwrapped(self, wrapped: bytes, place: bytes) -> bytes:
        assert self.keys is not None  # noqa: S101 - nothing wrapped is opened without
        try:
            return self.keys.unwrap(wrapped, place)
        except (CipherError, WrappedByStrangerError) as error:
            raise GalleryCorruptError(
                f"a gallery's data key does not open ({error}): its row is damaged or not its own"
            ) from None


def _place(owner: str, uid: str, contract_id: str) -> bytes:
    return encoded("norma gallery", owner, uid, contract_id)
