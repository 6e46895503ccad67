"""`norma gallery export`, `backup` and `restore`: galleries as files."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from app.commands.client import Client
from app.commands.common import out, record, settings
from app.errors import StartError
from app.gallery import backup as backups
from app.gallery import names
from app.gallery.export import export
from app.gallery.room import open_store
from app.security.audit.event import Event
from app.security.caller import LOCAL_OWNER
from app.security.keysource import key_source

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, show_default=False)]
Target = Annotated[Path, typer.Argument(dir_okay=False, show_default=False)]


def export_gallery(
    gallery: Annotated[str, typer.Argument(show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file, for its owner alone.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="A running service; without, the data directory of a stopped one."),
    ] = None,
    owner: Annotated[str, typer.Option(help="Whose gallery, without --url.")] = LOCAL_OWNER,
) -> None:
    """Write everything that is kept of everybody, features included, as lines of JSON.

    What `norma gallery import` reads. It is not encrypted: that is what it is for.
    """
    names.checked(gallery, "gallery")
    pieces = _from_directory(owner, gallery) if url is None else _from_service(url, gallery)
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    with _private(output) as file:
        for piece in pieces:
            file.write(piece)
    out.print(f"exported {gallery} to {output}, in the clear", markup=False)


def _from_directory(owner: str, gallery: str) -> Iterator[bytes]:
    store = open_store(settings())
    try:
        record(Event("gallery.exported", owner, gallery))
        for line in export(store, owner, gallery):
            yield line.encode() + b"\n"
    finally:
        store.close()


def _from_service(url: str, gallery: str) -> Iterator[bytes]:
    return Client(url).stream(f"/v1/galleries/{gallery}/export")


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """A file that others cannot read, and that has its name only once it is whole."""
    if path.exists():
        raise StartError(f"{path} exists already")
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def backup(target: Target) -> None:
    """Copy the galleries into one file, while the service runs or not, and verify the copy.

    It is encrypted as they are: keep the master key elsewhere, and keep it.
    """
    chosen = settings()
    done = backups.backup(chosen.gallery_dir / "gallery.db", target)
    out.print(
        f"{target}: {done.galleries:,} galleries, {done.subjects:,} subjects, {done.faces:,} faces,"
        f" {done.size:,} bytes, verified",
        markup=False,
    )


def restore(
    file: File,
    erasures: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The lost directory's erasures.log, where it is not in this one.",
        ),
    ] = None,
) -> None:
    """Put a backup in the place of a stopped service's galleries.

    Whoever was erased since the backup is erased again at the next start.
    """
    chosen = settings()
    directory = chosen.gallery_dir
    backups.restore(file, directory, key_source(chosen), erasures)
    record(Event("galleries.restored", ""))
    out.print(f"restored {file} into {directory}", markup=False)
