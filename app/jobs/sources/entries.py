"""One item of an import, before anything is made of it; and whom a photo's path names."""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from app.errors import EntryRefusedError, NormaError
from app.gallery.types import NewFace, SubjectSpec

Layout = Literal["folders", "flat"]
"""`folders`: PERSON/FILE.jpg, and a file beside the folders is one of its own person. `flat`: each
file is named for its person."""
Format = Literal["zip", "tar", "ndjson", "csv"]
PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
MAX_NAME = 512


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What a source may ask of the service: each bounds memory or time."""

    entry_bytes: int
    """Bytes of one photo."""
    entries: int
    """Items in all."""
    expanded_bytes: int
    """Bytes that an archive may unpack to."""
    line_bytes: int = 4 * 1024 * 1024
    """Bytes of one line of a manifest."""
    manifest_bytes: int = 32 * 1024 * 1024
    """Bytes of a manifest inside an archive, which is held in memory."""


@dataclass(frozen=True, slots=True)
class Features:
    """Faces that were embedded before, all of one contract."""

    contract_id: str
    faces: tuple[NewFace, ...]


Content = bytes | Features
_UNNAMED = SubjectSpec()


@dataclass(frozen=True, slots=True)
class Entry:
    """One item: whose it is, and how to get at it.

    `load` may be called until the next entry is asked for; it raises a NormaError where the item
    cannot be used.
    """

    name: str
    subject: str | None
    load: Callable[[], Content] = field(repr=False)
    spec: SubjectSpec = _UNNAMED


def refused(name: str, error: NormaError, subject: str | None = None) -> Entry:
    """An entry that cannot be loaded, for this reason."""

    def load() -> Content:
        raise error

    return Entry(shown(name), subject, load)


def shown(name: str) -> str:
    """The name as reports show it: printable, and not without end."""
    return "".join(c if c.isprintable() else "�" for c in name)[:MAX_NAME]


def photo(path: str, layout: Layout, load: Callable[[], bytes]) -> Entry:
    """The entry of a photo, whose path names its subject."""
    who = person(path, layout)
    key = subject_key(who)
    return Entry(shown(path), key, load, SubjectSpec(name=None if key == who else who[:256]))


def person(path: str, layout: Layout) -> str:
    pure = PurePosixPath(path)
    return pure.stem if layout == "flat" or len(pure.parts) == 1 else pure.parts[-2]


_KEY = re.compile(r"[A-Za-z0-9._-]{1,128}")


def subject_key(who: str) -> str:
    """A valid subject id: the name itself where it is one, else what is left of it and a digest,
    so that two names never become one id."""
    if _KEY.fullmatch(who) and who not in (".", ".."):
        return who
    plain = unicodedata.normalize("NFKD", who).encode("ascii", "ignore").decode()
    digest = hashlib.sha256(unicodedata.normalize("NFC", who).encode()).hexdigest()[:10]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', plain).strip('-')[:100] or 'subject'}-{digest}"


def passed_over(path: str) -> bool:
    """What file managers leave behind, and is nobody's item."""
    parts = PurePosixPath(path).parts
    return "__MACOSX" in parts or parts[-1].startswith(".") or parts[-1] == "Thumbs.db"


def check_path(path: str) -> None:
    """Raises EntryRefusedError for a path that leads out of its archive. None is ever written to
    disk; who sends such a path does not send photos."""
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or path[1:2] == ":":
        raise EntryRefusedError("the path leads out of the archive")
