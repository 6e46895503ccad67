"""What archives have in common: members that are read one by one, within bounds."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.errors import ArchiveInvalidError, ImageTooLargeError


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive. `read` is given the most bytes it may return; it may be called until
    the next member is asked for."""

    name: str
    read: Callable[[int], bytes] = field(repr=False)


@dataclass(slots=True)
class Budget:
    """How many bytes one archive may still unpack to: a bomb ends here."""

    left: int

    def spend(self, data: bytes, limit: int) -> bytes:
        """The data, counted. Raises ImageTooLargeError, ArchiveInvalidError."""
        self.take(len(data))
        check_size(len(data), limit)
        return data

    def take(self, count: int) -> None:
        """Raises ArchiveInvalidError where the archive has unpacked to more than it may."""
        self.left -= count
        if self.left < 0:
            raise ArchiveInvalidError("the archive unpacks to more than it may")


def check_size(size: int, limit: int) -> None:
    """Raises ImageTooLargeError for a member that is too large, or says that it is."""
    if size > limit:
        raise ImageTooLargeError(f"more than {limit} bytes", limit_bytes=limit)
