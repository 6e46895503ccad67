"""Uploads as entries: an archive, perhaps with a manifest in it, or a manifest of features."""

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import IO

from app.errors import (
    EntryRefusedError,
    ImageTooLargeError,
    ImageUnsupportedError,
    ManifestInvalidError,
    NormaError,
)
from app.jobs.sources import tars, zips
from app.jobs.sources.entries import (
    PHOTOS,
    Entry,
    Format,
    Layout,
    SourceLimits,
    check_path,
    passed_over,
    photo,
    refused,
)
from app.jobs.sources.manifest import Line, ManifestFormat, Row, rows
from app.jobs.sources.members import Budget, Member

MANIFESTS: dict[str, ManifestFormat] = {"manifest.ndjson": "ndjson", "manifest.csv": "csv"}


def entries(
    format_: Format, file: IO[bytes], layout: Layout, limits: SourceLimits
) -> Iterator[Entry]:
    """What the file holds, in its order, the same each time. The file is seekable.

    Raises ArchiveInvalidError or ManifestInvalidError where it cannot be read as a whole; for an
    archive that cannot even be begun, before the first entry.
    """
    if format_ == "zip" or format_ == "tar":
        return _of_archive(_members(format_, file, limits), layout, limits)
    return (_of_row(row) for row in rows(format_, file, limits))


def _members(format_: Format, file: IO[bytes], limits: SourceLimits) -> Iterator[Member]:
    budget = Budget(limits.expanded_bytes)
    if format_ == "zip":
        return zips.members(zips.open_zip(file, limits.entries), budget, MANIFESTS)
    return tars.members(tars.open_tar(file, budget), limits.entries)


def _of_archive(members: Iterator[Member], layout: Layout, limits: SourceLimits) -> Iterator[Entry]:
    """A manifest comes first, or is none: in a ZIP archive it is found wherever it lies."""
    first = next(members, None)
    if first is None:
        return
    format_ = MANIFESTS.get(str(PurePosixPath(first.name)))
    if format_ is None:
        yield from _guarded(first, partial(_by_path, layout=layout, limits=limits))
        for member in members:
            yield from _guarded(member, partial(_by_path, layout=layout, limits=limits))
        return
    text = io.BytesIO(_manifest(first, limits.manifest_bytes))
    named: dict[str, Row] = {}
    for row in rows(format_, text, limits):
        if isinstance(row.line, Line) and row.line.path is not None and row.line.path not in named:
            named[row.line.path] = row
        else:
            yield _of_row(row)
    for member in members:
        yield from _guarded(member, partial(_by_manifest, named=named, limits=limits))
    for row in named.values():
        yield refused(row.name, ManifestInvalidError("the archive holds no such file"))


def _manifest(member: Member, limit: int) -> bytes:
    try:
        return member.read(limit)
    except ImageTooLargeError as error:
        raise ManifestInvalidError(f"the manifest has more than {limit} bytes") from error


def _guarded(member: Member, meaning: Callable[[Member, str], Entry]) -> Iterator[Entry]:
    """Nothing for what nobody meant to send, a refusal for what should not be there."""
    path = str(PurePosixPath(member.name))
    try:
        check_path(member.name)
        if not passed_over(path):
            yield meaning(member, path)
    except NormaError as error:
        yield refused(path, error)


def _by_path(member: Member, path: str, layout: Layout, limits: SourceLimits) -> Entry:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix and suffix not in PHOTOS:
        raise ImageUnsupportedError("not a photo by its name")
    return photo(path, layout, partial(member.read, limits.entry_bytes))


def _by_manifest(member: Member, path: str, named: dict[str, Row], limits: SourceLimits) -> Entry:
    row = named.pop(path, None) or named.pop(member.name, None)
    if row is None or not isinstance(row.line, Line):
        raise EntryRefusedError("the manifest does not name this file")
    load = partial(member.read, limits.entry_bytes)
    return Entry(row.name, row.line.subject, load, row.line.spec())


def _of_row(row: Row) -> Entry:
    line = row.line
    if isinstance(line, ManifestInvalidError):
        return refused(row.name, line)
    if line.path is not None:
        why = "the file is not in the archive, or another line names it, too"
        return refused(row.name, ManifestInvalidError(why), line.subject)
    return Entry(row.name, line.subject, line.features, line.spec())
