"""What `norma models pull` can fetch: public homes, sizes and digests, pinned.

The digests are those that independent users of the same files publish; a file that differs is
refused. Another catalogue of the same form can be given to the command.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from export.contract import ColourOrder
from export.errors import ManifestError, PackageError
from export.manifest import Licence, Record, Sha256, Slug, Text, Training, Triple, parse

Kind = Literal["insightface-pack", "scrfd", "yunet", "recogniser"]


class Entry(Record):
    """One downloadable file and what becomes of it."""

    name: Slug
    kind: Kind
    description: Text
    url: Annotated[str, Field(pattern=r"^https?://")]
    sha256: Sha256
    size: Annotated[int, Field(ge=1)]
    licence: Licence
    training: Training
    version: Text = "1"
    must_accept: bool = False
    """Whether the caller must say that they accept the licence."""
    colour_order: ColourOrder = "RGB"
    mean: Triple = (127.5, 127.5, 127.5)
    std: Triple = (127.5, 127.5, 127.5)


_ENTRIES: TypeAdapter[list[Entry]] = TypeAdapter(list[Entry])


def read(file: Path | None = None) -> Mapping[str, Entry]:
    """The entries by name, of `file` or of the built-in catalogue. Raises ManifestError."""
    source = file or resources.files("export").joinpath("catalogue.json")
    try:
        text = source.read_bytes()
    except OSError as error:
        raise ManifestError(f"{source}: {error.strerror}") from error
    entries: dict[str, Entry] = {}
    for entry in parse(_ENTRIES, text, str(source)):
        if entry.name in entries:
            raise ManifestError(f"{source}: name: two entries are called {entry.name!r}")
        entries[entry.name] = entry
    return entries


def find(entries: Mapping[str, Entry], name: str) -> Entry:
    """The entry of that name. Raises PackageError, which names those there are."""
    if name not in entries:
        raise PackageError(f"no {name!r} in the catalogue; there are {', '.join(entries)}")
    return entries[name]
