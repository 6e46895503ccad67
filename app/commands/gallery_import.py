"""`norma gallery import`: photos and features from the operator's disk into a gallery."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from app.commands.client import Client
from app.commands.common import out, settings
from app.commands.journal import Journal
from app.commands.targets import Remote, Target, direct
from app.domain import FaceSelect, QualityPolicy
from app.errors import ArchiveInvalidError, EntryRefusedError, NormaError, StartError
from app.gallery import names
from app.jobs.imports import ImportOptions
from app.jobs.sources.entries import Entry, SourceLimits
from app.jobs.sources.local import local
from app.jobs.sources.packing import Pack, Packed, packs
from app.security.caller import LOCAL_OWNER

AHEAD = 2
"""Uploads at a time: one is worked on while the next is packed and sent."""
POLL_SECONDS = 0.2
UNBOUNDED = 2**62


class Layouts(StrEnum):
    """As `Layout`."""

    FOLDERS = "folders"
    FLAT = "flat"


def import_gallery(
    gallery: Annotated[str, typer.Argument(show_default=False)],
    path: Annotated[
        Path,
        typer.Argument(
            exists=True,
            show_default=False,
            help="A folder, .zip, .tar, .tar.gz, or a manifest (.ndjson, .csv).",
        ),
    ],
    url: Annotated[
        str | None,
        typer.Option(help="A running service; without, the data directory of a stopped one."),
    ] = None,
    layout: Annotated[
        Layouts,
        typer.Option(help="folders: PERSON/FILE.jpg. flat: each file is named for its person."),
    ] = Layouts.FOLDERS,
    face: Annotated[FaceSelect, typer.Option(help="Which of several faces.")] = FaceSelect.LARGEST,
    quality: Annotated[
        QualityPolicy | None, typer.Option(help="For poor faces; else the gallery's own.")
    ] = None,
    consent_ref: Annotated[str | None, typer.Option(help="Of subjects that are new.")] = None,
    create: Annotated[bool, typer.Option(help="Make the gallery where it is missing.")] = False,
    identify: Annotated[bool, typer.Option(help="Allow searching (1:N) what is made.")] = False,
    owner: Annotated[str, typer.Option(help="Whose gallery, without --url.")] = LOCAL_OWNER,
    journal: Annotated[
        Path | None, typer.Option(help="What became of each item [PATH.import.jsonl].")
    ] = None,
) -> None:
    """Enrol everybody. Give the same command again to go on where it stopped.

    The key of a service comes from NORMA_KEY. Photos that a subject has already are skipped.
    """
    names.checked(gallery, "gallery")
    options = ImportOptions("tar", "folders", face, quality, None, consent_ref)
    chosen = settings()
    limits = SourceLimits(chosen.max_image_bytes, UNBOUNDED, UNBOUNDED)
    found = local(path, layout.value, limits)
    noted = journal or path.with_name(f"{path.resolve().name}.import.jsonl")
    asked = {"gallery": gallery, "url": url, "layout": layout, "path": str(path.resolve())}
    opened = (
        direct(chosen, owner, gallery, options)
        if url is None
        else nullcontext(Remote(Client(url), gallery, options))
    )
    with opened as target:
        if create:
            target.create(identify)
        with Journal(noted, asked) as book, Progress(console=out) as bar:
            task = bar.add_task("importing", total=found.total)
            _Import(target, book, bar, task).run(found.entries)
    _report(book, noted)


@dataclass(frozen=True, slots=True)
class _Import:
    """One run: what is sent, what is waited for, what is written down."""

    target: Target
    journal: Journal
    bar: Progress
    task: TaskID

    def run(self, entries: Iterator[Entry]) -> None:
        waiting: deque[tuple[str, Pack]] = deque()
        for pack in packs(self._fresh(entries)):
            waiting.append((self.target.submit(pack.body), pack))
            if len(waiting) == AHEAD:
                self._settle(*waiting.popleft())
        while waiting:
            self._settle(*waiting.popleft())

    def _fresh(self, entries: Iterator[Entry]) -> Iterator[Packed]:
        """Items without an outcome; those that cannot even be sent get theirs here."""
        for entry in entries:
            item = self._packed(entry)
            if item is None or self.journal.knows(item.name, item.digest):
                self.bar.advance(self.task)
            else:
                yield item

    def _packed(self, entry: Entry) -> Packed | None:
        try:
            content = entry.load()
            if entry.subject is None:
                raise EntryRefusedError("nothing names its subject")
        except ArchiveInvalidError:
            raise
        except NormaError as error:
            if not self.journal.knows(entry.name, ""):
                self.journal.note(entry.name, "", "refused", error.code)
            return None
        return Packed(entry.name, entry.subject, entry.spec, content)

    def _settle(self, job: str, pack: Pack) -> None:
        """Waits for a job, and writes down what became of its items.

        Raises StartError where it failed; what it had done is written down.
        """
        before = 0
        while True:
            standing = self.target.standing(job)
            self.bar.advance(self.task, standing.done - before)
            before = standing.done
            if standing.finished:
                break
            time.sleep(POLL_SECONDS)
        for one in self.target.outcomes(job):
            self.journal.note(one.item, pack.digests[one.item], one.outcome, one.code)
        self.journal.flush()
        if standing.failure is not None:
            raise StartError(standing.failure)


def _report(journal: Journal, path: Path) -> None:
    counts = journal.counts()
    done = {"enrolled": counts.pop("enrolled", 0), "skipped": counts.pop("skipped_duplicate", 0)}
    out.print(
        f"{done['enrolled']:,} enrolled, {done['skipped']:,} there already, "
        f"{counts.total():,} refused ({path})",
        markup=False,
    )
    for code, count in counts.most_common():
        out.print(f"  refused {count:,}: {code}", markup=False)
