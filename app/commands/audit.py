"""`norma audit …`: is the record whole, what does it say, is a receipt in it?"""

from pathlib import Path
from typing import Annotated

import orjson
import typer

from app.commands.common import out, settings
from app.errors import StartError
from app.security.audit.chain import Entry
from app.security.audit.verify import AuditReader
from app.security.caller import LOCAL_OWNER
from app.security.keysource import key_source

audit = typer.Typer(help="The record of what was done.", no_args_is_help=True)


@audit.command()
def verify() -> None:
    """Check every entry and the chain. Status 1 where it was edited, cut or reordered."""
    found = _reader().verify()
    for problem in found.problems:
        out.print(problem, markup=False)
    if found.problems:
        raise typer.Exit(1)
    assert found.last is not None  # noqa: S101 - an empty log has no mark
    out.print(f"{found.entries} entries, whole, up to", markup=False)
    out.print(f"{found.last.seq} {found.last.mac}", markup=False)


@audit.command()
def show(
    gallery: Annotated[str | None, typer.Option(help="Entries of this gallery.")] = None,
    subject: Annotated[str | None, typer.Option(help="… and of this subject's id.")] = None,
    owner: Annotated[str, typer.Option(help="… of this owner.")] = LOCAL_OWNER,
    action: Annotated[str | None, typer.Option(help="Actions that begin so.")] = None,
) -> None:
    """Print entries as JSON lines. Subjects are keyed hashes; --subject finds those of one."""
    reader = _reader()
    wanted: dict[str, str] = {}
    if gallery is not None:
        wanted |= {"gallery": gallery, "owner": owner}
    if subject is not None:
        if gallery is None:
            raise StartError("--subject goes with --gallery")
        wanted["subject"] = reader.chain.subject(owner, gallery, subject)
    for _, entry in reader.entries():
        if not isinstance(entry, Entry) or not str(entry.fields["action"]).startswith(action or ""):
            continue
        if all(entry.fields.get(name) == value for name, value in wanted.items()):
            out.print(orjson.dumps(entry.fields).decode(), markup=False)


@audit.command()
def receipt(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, allow_dash=True, show_default=False)
    ],
) -> None:
    """Check that an erasure's receipt, the API's JSON answer, is in the record as it says."""
    text = typer.get_binary_stream("stdin").read() if str(file) == "-" else file.read_bytes()
    try:
        said = orjson.loads(text)
        uid, faces, revision, head = (said[k] for k in ("receipt", "faces", "revision", "audit"))
        seq, mac, subject = (head[name] for name in ("seq", "mac", "subject"))
    except (ValueError, KeyError, TypeError) as error:
        raise StartError(f"{file}: no receipt with a place in the audit log") from error
    reader = _reader()
    entry = next(
        (one for _, one in reader.entries() if isinstance(one, Entry) and one.seq == seq), None
    )
    expected = {"faces": faces, "receipt": uid, "revision": revision}
    if (
        entry is None
        or (entry.mac, entry.fields["subject"]) != (mac, subject)
        or entry.fields["details"] != expected
    ):
        raise StartError(f"{file}: the audit log does not hold this receipt")
    out.print(f"entry {seq} of {entry.fields['at']}: {entry.fields['action']}", markup=False)
    if reader.verify().problems:
        raise StartError("the receipt is genuine, the log is not whole: norma audit verify")


def _reader() -> AuditReader:
    chosen = settings()
    return AuditReader(chosen.audit_dir, key_source(chosen))
