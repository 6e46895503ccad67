"""`norma gallery …`: what an operator does to the files, besides the API."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from app.commands import gallery_export, gallery_import
from app.commands.common import out, record, settings
from app.commands.gallery_migrate import migrate
from app.commands.health import health
from app.errors import StartError
from app.gallery import erase_check, rotation
from app.gallery.dossier import dossier
from app.gallery.rows import galleries
from app.gallery.unlock import reading
from app.http.gallery.dossier import DossierOut
from app.security.audit import secret
from app.security.audit.event import Event
from app.security.caller import LOCAL_OWNER
from app.security.keysource import KeyFile, key_source

gallery = typer.Typer(help="Galleries in, out, and their files.", no_args_is_help=True)
gallery.command("import")(gallery_import.import_gallery)
gallery.command("export")(gallery_export.export_gallery)
gallery.command()(gallery_export.backup)
gallery.command()(gallery_export.restore)
gallery.command()(health)
gallery.command()(migrate)


@gallery.command("export-subject")
def export_subject(
    name: Annotated[str, typer.Argument(help="The gallery.", show_default=False)],
    subject: Annotated[str, typer.Argument(help="The subject's id.", show_default=False)],
    owner: Annotated[str, typer.Option(help="Whose gallery.")] = LOCAL_OWNER,
) -> None:
    """Print all that is held about one person as JSON, beside a running service or without."""
    chosen = settings()
    with reading(chosen.gallery_dir, key_source(chosen)) as connection:
        found = galleries.get(connection, owner, name)
        held = dossier(connection, found, subject)
    record(Event("subject.exported", owner, name, subject))
    out.print(DossierOut.of(held, None).model_dump_json(indent=2), markup=False)


@gallery.command("erase-check")
def check_erasure(
    feature: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="The erased face's raw feature, .npy."),
    ],
) -> None:
    """Look for an erased feature's bytes in every file of the galleries. Status 1 if found."""
    directory = settings().gallery_dir
    try:
        values = np.load(feature, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise StartError(f"{feature}: not an .npy file of numbers") from error
    holding = erase_check.holding(directory, erase_check.traces(values.ravel()))
    for path in holding:
        out.print(f"found in {path}", markup=False)
    if holding:
        raise typer.Exit(1)
    out.print(f"no trace in {directory}", markup=False)


@gallery.command("rotate-key")
def rotate_key(
    forget: Annotated[
        bool,
        typer.Option(help="Drop retired keys instead: backups from before cannot be read then."),
    ] = False,
) -> None:
    """Give a stopped service's galleries a new master key. Fast: no template is touched.

    The old key stays in the file, retired, for the backups that were made under it.
    """
    chosen = settings()
    source = key_source(chosen)
    if not isinstance(source, KeyFile):
        raise StartError(
            "the key is not in a file: let NORMA_MASTER_KEY or the command's output begin with "
            "the new key, the old one in the second line, and restart the service"
        )
    if forget:
        if (kept := chosen.audit_dir / "secret").exists():
            secret.read(kept, source)  # wraps it by the current key, too
        key = rotation.forget(chosen.gallery_dir, source)
        record(Event("master_key.forgotten", "", details={"key": key}))
        out.print(f"{source.path} holds master key {key} alone", markup=False)
        return
    key, count = rotation.rotate(chosen.gallery_dir, source)
    record(Event("master_key.rotated", "", details={"key": key, "galleries": count}))
    out.print(f"master key {key} wraps the keys of {count} galleries", markup=False)
