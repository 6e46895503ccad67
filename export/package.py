"""Model packages on disk: write whole, verify before opening, read only what was verified."""

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export import manifest as schema
from export import tables
from export.errors import IntegrityError, ManifestError

_MAX_MANIFEST = 1024 * 1024
_MAX_EXPANSION = 100
"""Bytes of a file over its bytes in the archive; weights hardly compress at all."""
_MAX_MEMBERS = 33
Facts = Mapping[str, Any]
Manifest = schema.RecogniserManifest | schema.DetectorManifest


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose every file has been found to be what its manifest recorded."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.manifest.name

    def read(self, name: str) -> bytes:
        """The bytes of one listed file, verified again as they are read.

        Digest and content come from one read, so a file swapped after `load` is still refused.
        """
        entry = self.manifest.files[name]
        data = (self.path / name).read_bytes()
        _check_bytes(data, entry, self.path / name)
        return data

    def golden(self) -> dict[str, NDArray[Any]]:
        """The golden vectors: arrays by name. Never unpickles. Raises IntegrityError."""
        data = io.BytesIO(self.read(schema.GOLDEN))
        try:
            with np.lib.npyio.NpzFile(data, allow_pickle=False) as arrays:
                return {name: np.asarray(arrays[name]) for name in arrays.files}
        except (zipfile.BadZipFile, zlib.error, ValueError, OSError) as error:
            raise IntegrityError(f"{self.path / schema.GOLDEN}: unreadable: {error}") from error

    def calibration(self) -> tables.Calibration | None:
        """The 1:1 table, or None where nobody has calibrated the package yet."""
        return self._table(schema.CALIBRATION, tables.Calibration)

    def quality(self) -> tables.QualityCurve | None:
        """The norm's curve and gates, or None where they were not measured."""
        return self._table(schema.QUALITY, tables.QualityCurve)

    def _table(self, name: str, kind: type[schema.RecordT]) -> schema.RecordT | None:
        if name not in self.manifest.files:
            return None
        table = schema.parse_record(kind, self.read(name), str(self.path / name))
        own = getattr(self.manifest, "contract_id", None)
        if getattr(table, "contract_id", own) != own:
            raise IntegrityError(f"{self.path / name}: contract_id: belongs to another model")
        return table


def load(path: Path) -> Package:
    """Verify a package directory and open it.

    Raises ManifestError or IntegrityError; the message names the file and the field or digest.
    """
    if path.is_symlink() or not path.is_dir():
        raise IntegrityError(f"{path}: not a package directory")
    where = path / schema.MANIFEST
    _check_plain_file(where)
    if where.stat().st_size > _MAX_MANIFEST:
        raise IntegrityError(f"{where}: larger than {_MAX_MANIFEST} bytes")
    manifest = schema.parse_manifest(where.read_bytes(), str(where))
    _check_listing(path, manifest)
    for name, entry in manifest.files.items():
        _check_file(path / name, entry)
    return Package(path, manifest)


@contextmanager
def writing(destination: Path) -> Iterator[Path]:
    """A fresh directory that becomes `destination` whole when the block ends well, or not at all.

    Raises FileExistsError when `destination` exists already.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists; remove it first or choose another name")
    destination.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        yield staging
        for file in staging.iterdir():
            _fsync(file)
        staging.chmod(0o755)
        staging.rename(destination)
        _fsync(destination.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write(
    destination: Path,
    files: Mapping[str, bytes],
    facts: Facts,
) -> Package:
    """Write a package: the files, and a manifest of `facts` with their digests and sizes.

    `facts` holds the manifest's fields except `files`. Raises ManifestError when they break the
    schema, FileExistsError when `destination` exists.
    """
    listed = {name: {"sha256": sha256(data), "size": len(data)} for name, data in files.items()}
    where = f"{destination.name}/{schema.MANIFEST}"
    try:
        text = json.dumps({**facts, "files": listed}, default=str, allow_nan=False)
    except ValueError as error:
        raise ManifestError(f"{where}: a number is not finite") from error
    manifest = schema.parse_manifest(text.encode(), where)
    with writing(destination) as staging:
        for name, data in files.items():
            (staging / name).write_bytes(data)
        (staging / schema.MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
    return load(destination)


def with_files(package: Package, destination: Path, changed: Mapping[str, bytes]) -> Package:
    """A copy of `package` at `destination` with some files added or replaced."""
    files = {name: package.read(name) for name in package.manifest.files} | dict(changed)
    facts = package.manifest.model_dump(mode="json", exclude={"files"})
    return write(destination, files, facts)


def replace(package: Package, changed: Mapping[str, bytes]) -> Package:
    """The same package with some files added or replaced, swapped in by rename."""
    staging = package.path.with_name(f".{package.path.name}-new")
    shutil.rmtree(staging, ignore_errors=True)
    with_files(package, staging, changed)
    old = package.path.with_name(f".{package.path.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    package.path.rename(old)
    staging.rename(package.path)
    shutil.rmtree(old)
    return load(package.path)


def pack(package: Package, archive: Path) -> None:
    """The package as one uncompressed zip (weights do not compress)."""
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_STORED) as out:
        for name in (schema.MANIFEST, *package.manifest.files):
            out.write(package.path / name, name)


def unpack(archive: Path, destination: Path) -> Package:
    """A package from its zip, whole or not at all.

    Raises IntegrityError for links, folders, names that are not plain or come twice, for what
    would swell, and for all that `load` refuses; FileExistsError when `destination` exists.
    """
    try:
        with zipfile.ZipFile(archive) as source, writing(destination) as staging:
            for member in _members(source, archive):
                with source.open(member) as content, (staging / member.filename).open("xb") as file:
                    shutil.copyfileobj(content, file)
            load(staging)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise IntegrityError(f"{archive}: not a readable zip archive: {error}") from error
    return load(destination)


def _members(source: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
    members = source.infolist()
    if len(members) > _MAX_MEMBERS:
        raise IntegrityError(f"{archive}: holds {len(members)} files")
    seen: set[str] = set()
    for member in members:
        problem = "comes twice" if member.filename in seen else _member_problem(member)
        if problem:
            raise IntegrityError(f"{archive}: {member.filename!r} {problem}")
        seen.add(member.filename)
    return members


def _member_problem(member: zipfile.ZipInfo) -> str | None:
    if not schema.is_plain(member.filename):
        return "is not a plain file name"
    if (member.external_attr >> 16) & 0o170000 == 0o120000:
        return "is a symbolic link"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in an unusual way"
    if member.file_size > _MAX_EXPANSION * member.compress_size:
        return f"would swell to {member.file_size} bytes"
    return None


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of an .npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_listing(path: Path, manifest: Manifest) -> None:
    found = {file.name for file in path.iterdir()}
    for stray in sorted(found - set(manifest.files) - {schema.MANIFEST}):
        raise IntegrityError(f"{path / stray}: not listed in {schema.MANIFEST}")


def _check_plain_file(path: Path) -> None:
    if path.is_symlink():
        raise IntegrityError(f"{path}: a symbolic link")
    if not path.is_file():
        raise IntegrityError(f"{path}: missing")


def _check_file(path: Path, entry: schema.FileEntry) -> None:
    _check_plain_file(path)
    size = path.stat().st_size
    if size != entry.size:
        raise IntegrityError(f"{path}: size: manifest says {entry.size} bytes, found {size}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != entry.sha256:
        raise IntegrityError(f"{path}: sha256: manifest says {entry.sha256}, found {found}")


def _check_bytes(data: bytes, entry: schema.FileEntry, path: Path) -> None:
    if len(data) != entry.size or sha256(data) != entry.sha256:
        raise IntegrityError(f"{path}: changed since the package was verified")


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
