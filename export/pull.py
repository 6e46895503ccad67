"""Fetch one catalogue entry, resuming where an earlier try broke off, and make packages of it."""

import hashlib
import http.client
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from export.catalogue import Entry
from export.contract import ARCFACE_112, Preprocessing
from export.errors import ImportFailedError, IntegrityError, PackageError
from export.importers.insightface import import_pack
from export.importers.networks import (
    About,
    detector_defaults,
    import_detector,
    import_recogniser,
)
from export.package import Package

_CHUNK = 256 * 1024
_TIMEOUT = 30.0


def pull(entry: Entry, packages_dir: Path, accepted: bool) -> list[Package]:
    """Download, check and import. Raises PackageError with what to do about it."""
    if entry.must_accept and not accepted:
        raise PackageError(
            f"{entry.name} is under {entry.licence.name!r} ({entry.licence.url}); read it, then "
            "pass --accept-license"
        )
    return _packages(entry, download(entry, packages_dir.parent / "downloads"), packages_dir)


def download(entry: Entry, directory: Path) -> Path:
    """The entry's file in `directory`, complete and with the pinned digest.

    A part that is there already is continued. Raises PackageError when the home cannot be
    reached (what has come stays for the next try), IntegrityError for other bytes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    done = directory / f"{entry.name}{'.zip' if entry.kind == 'insightface-pack' else '.onnx'}"
    if not done.is_file():
        part = done.with_name(done.name + ".part")
        try:
            _fetch(entry, part)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise PackageError(
                f"{entry.url}: {error}; on a machine without access, fetch it elsewhere and put "
                f"it at {done}"
            ) from error
        part.rename(done)
    _check(entry, done)
    return done


def _fetch(entry: Entry, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have >= entry.size:
        return
    request = urllib.request.Request(entry.url, headers={"Range": f"bytes={have}-"})  # noqa: S310
    columns = (*Progress.get_default_columns()[:2], DownloadColumn(), TransferSpeedColumn())
    with (
        urllib.request.urlopen(request, timeout=_TIMEOUT) as response,  # noqa: S310
        Progress(*columns, TimeRemainingColumn()) as progress,
    ):
        resumed = response.status == 206
        task = progress.add_task(entry.name, total=entry.size, completed=have if resumed else 0)
        with part.open("ab" if resumed else "wb") as file:
            # No more than was promised: what does not end would fill the disk.
            while chunk := response.read(min(_CHUNK, entry.size - file.tell())):
                file.write(chunk)
                progress.advance(task, len(chunk))
    if part.stat().st_size < entry.size:
        raise OSError("the connection broke off; run the command again to continue")


def _check(entry: Entry, file: Path) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != entry.sha256:
        file.unlink()
        raise IntegrityError(
            f"{entry.url}: sha256 should be {entry.sha256}, is {found}; the file was removed"
        )


def _packages(entry: Entry, file: Path, packages_dir: Path) -> list[Package]:
    if entry.kind == "insightface-pack":
        with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
            _extract_networks(file, Path(scratch))
            return import_pack(Path(scratch), entry.name, packages_dir)
    about = About(
        entry.name, entry.version, entry.description, entry.url, entry.licence, entry.training
    )
    destination = packages_dir / entry.name
    if entry.kind == "recogniser":
        pixels = Preprocessing(entry.colour_order, entry.mean, entry.std)
        return [import_recogniser(destination, file.read_bytes(), about, pixels, ARCFACE_112)]
    return [import_detector(destination, file.read_bytes(), about, detector_defaults(entry.kind))]


def _extract_networks(archive: Path, directory: Path) -> None:
    """The archive's ONNX files, by their plain names; nothing else is written."""
    try:
        with zipfile.ZipFile(archive) as source:
            for member in source.infolist():
                name = Path(member.filename).name
                if name.endswith(".onnx"):
                    with source.open(member) as content, (directory / name).open("wb") as target:
                        shutil.copyfileobj(content, target)
    except zipfile.BadZipFile as error:
        raise ImportFailedError(f"{archive}: not a zip archive") from error
