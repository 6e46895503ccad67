"""What lies on the operator's own disk as entries: folders, archives, manifests beside photos."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.errors import EntryRefusedError, ManifestInvalidError, StartError
from app.jobs.sources.entries import PHOTOS, Entry, Format, Layout, SourceLimits, photo, refused
from app.jobs.sources.manifest import ManifestFormat, Row, rows
from app.jobs.sources.members import check_size
from app.jobs.sources.reading import MANIFESTS, entries

_ARCHIVES: dict[str, Format] = {".zip": "zip", ".tar": "tar", ".gz": "tar", ".tgz": "tar"}
_MANIFESTS: dict[str, ManifestFormat] = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}


@dataclass(frozen=True, slots=True)
class Found:
    """Entries, and how many where that is known before they are read."""

    entries: Iterator[Entry]
    total: int | None


def local(path: Path, layout: Layout, limits: SourceLimits) -> Found:
    """A folder of photos, with or without a manifest in it; an archive; or a manifest, whose paths
    are relative to it. Raises StartError for anything else."""
    if path.is_dir():
        manifest = next((path / name for name in MANIFESTS if (path / name).is_file()), None)
        return _folder(path, layout, limits) if manifest is None else _manifest(manifest, limits)
    suffix = path.suffix.lower()
    if suffix in _MANIFESTS:
        return _manifest(path, limits)
    if suffix in _ARCHIVES:
        return Found(_archive(path, _ARCHIVES[suffix], layout, limits), _count(path))
    raise StartError(
        f"{path}: neither a folder, nor .zip, .tar, .tar.gz, nor a manifest (.ndjson, .csv)"
    )


def _folder(root: Path, layout: Layout, limits: SourceLimits) -> Found:
    found = sorted(
        path.relative_to(root)
        for path in root.rglob("*")
        if path.suffix.lower() in PHOTOS and not path.name.startswith(".")
    )
    read = (photo(path.as_posix(), layout, partial(_read, root / path, limits)) for path in found)
    return Found(read, len(found))


def _archive(path: Path, format_: Format, layout: Layout, limits: SourceLimits) -> Iterator[Entry]:
    with path.open("rb") as file:
        yield from entries(format_, file, layout, limits)


def _count(path: Path) -> int | None:
    """Of a tar archive only reading it would tell."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        return sum(not info.is_dir() for info in archive.infolist())


def _manifest(path: Path, limits: SourceLimits) -> Found:
    with path.open("rb") as file:
        total = sum(1 for _ in file) - (_MANIFESTS[path.suffix.lower()] == "csv")
    return Found(_of_manifest(path, limits), total)


def _of_manifest(path: Path, limits: SourceLimits) -> Iterator[Entry]:
    with path.open("rb") as file:
        for row in rows(_MANIFESTS[path.suffix.lower()], file, limits):
            yield _of_row(row, path.parent, limits)


def _of_row(row: Row, beside: Path, limits: SourceLimits) -> Entry:
    line = row.line
    if isinstance(line, ManifestInvalidError):
        return refused(row.name, line)
    if line.path is None:
        return Entry(row.name, line.subject, line.features, line.spec())
    load = partial(_read, beside / line.path, limits)
    return Entry(row.name, line.subject, load, line.spec())


def _read(path: Path, limits: SourceLimits) -> bytes:
    try:
        check_size(path.stat().st_size, limits.entry_bytes)
        return path.read_bytes()
    except OSError as error:
        raise EntryRefusedError(f"cannot be read: {error.strerror}") from error
