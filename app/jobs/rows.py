"""Jobs and their reports in the gallery's database."""

import json
import sqlite3
from collections.abc import Sequence
from typing import cast

from app.errors import ArchiveInvalidError, JobNotFoundError
from app.gallery.database import Connection
from app.gallery.rows import galleries
from app.gallery.rows.common import from_json, now, to_json
from app.gallery.types import Gallery, Json
from app.jobs.types import Counts, Failure, Item, Job, NewJob, Outcome, State

_SELECT = (
    "SELECT j.id, j.uid, j.owner, j.kind, j.gallery_id, g.name, j.state, j.options,"
    " j.error, j.position, j.total, j.succeeded, j.skipped, j.refused, j.active_ms, j.created_at,"
    " j.updated_at, j.finished_at FROM jobs j"
    " LEFT JOIN galleries g ON g.id = j.gallery_id AND g.owner = j.owner"
)
SECRET_BYTES = 32
_COUNTED: dict[Outcome, str] = {
    "enrolled": "succeeded",
    "skipped_duplicate": "skipped",
    "refused": "refused",
}


def insert(connection: sqlite3.Connection, gallery: Gallery, new: NewJob) -> None:
    at = now()
    connection.execute(
        "INSERT INTO jobs (owner, uid, kind, gallery_id, state, options, secret, total, created_at,"
        " updated_at) VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
        (
            gallery.owner,
            new.uid,
            new.kind,
            gallery.id,
            to_json(dict(new.options)),
            _sealed(gallery, new),
            new.total,
            at,
            at,
        ),
    )


def get(connection: sqlite3.Connection, owner: str, uid: str) -> Job:
    """Raises JobNotFoundError, for another owner's job too."""
    row = connection.execute(f"{_SELECT} WHERE j.owner = ? AND j.uid = ?", (owner, uid)).fetchone()
    if row is None:
        raise JobNotFoundError("there is no such job")
    return _job(row)


def secret(connection: Connection, job: Job) -> bytes:
    """What opens the spool of an unfinished job. Raises GalleryNotFoundError, ArchiveInvalidError
    where there is no key (any more), GalleryCorruptError where it is another's."""
    gallery = galleries.get(connection, job.owner, job.gallery)
    stored = connection.execute(
        "SELECT secret FROM jobs WHERE owner = ? AND id = ?", (job.owner, job.id)
    ).fetchone()[0]
    if stored is None:
        raise ArchiveInvalidError("what was uploaded is not there any more")
    if gallery.seal is None or len(stored) == SECRET_BYTES:  # from before it was encrypted
        return cast(bytes, stored)
    return gallery.seal.open(cast(bytes, stored), "spool", job.uid)


def _sealed(gallery: Gallery, new: NewJob) -> bytes:
    return new.secret if gallery.seal is None else gallery.seal.close(new.secret, "spool", new.uid)


def page(connection: sqlite3.Connection, owner: str, before: int, limit: int) -> list[Job]:
    """The owner's jobs, the newest first, those with a lower id than `before`."""
    rows = connection.execute(
        f"{_SELECT} WHERE j.owner = ? AND j.id < ? ORDER BY j.id DESC LIMIT ?",
        (owner, before, limit),
    )
    return [_job(row) for row in rows]


def unfinished(connection: sqlite3.Connection) -> list[Job]:
    """Every owner's, the oldest first: for the runner."""
    rows = connection.execute(f"{_SELECT} WHERE j.finished_at IS NULL ORDER BY j.id")
    return [_job(row) for row in rows]


def count_unfinished(connection: sqlite3.Connection, owner: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM jobs WHERE owner = ? AND finished_at IS NULL", (owner,)
    ).fetchone()
    return int(row[0])


def set_state(
    connection: sqlite3.Connection, job: Job, state: State, error: Failure | None = None
) -> bool:
    """Of an unfinished job; whether it was one. A finished one has no key any more."""
    finished = now() if state in ("done", "failed", "cancelled") else None
    why = None if error is None else json.dumps([error.code, error.message])
    cursor = connection.execute(
        "UPDATE jobs SET state = ?, error = ?, updated_at = ?, finished_at = ?,"
        " secret = CASE WHEN ? IS NULL THEN secret END"
        " WHERE owner = ? AND id = ? AND finished_at IS NULL",
        (state, why, now(), finished, finished, job.owner, job.id),
    )
    return cursor.rowcount == 1


def report(connection: sqlite3.Connection, job: Job, item: Item) -> None:
    """Writes down and counts what became of an item; an item that was reported before is not
    counted again."""
    cursor = connection.execute(
        "INSERT OR IGNORE INTO job_items (owner, job_id, n, gallery_id, name, subject, outcome,"
        " code, reasons, quality) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.owner,
            job.id,
            item.n,
            job.gallery_id,
            item.name,
            item.subject,
            item.outcome,
            item.code,
            ",".join(item.reasons) or None,
            item.quality,
        ),
    )
    if cursor.rowcount == 1:
        column = _COUNTED[item.outcome]
        connection.execute(
            f"UPDATE jobs SET {column} = {column} + 1, interrupted = 0 WHERE owner = ? AND id = ?",  # noqa: S608
            (job.owner, job.id),
        )


def resume(connection: sqlite3.Connection, job: Job, most: int) -> None:
    """A job that the end of the process interrupted waits again; one that has ended it `most`
    times without getting on has failed."""
    connection.execute(
        "UPDATE jobs SET state = 'queued', interrupted = interrupted + 1"
        " WHERE owner = ? AND id = ?",
        (job.owner, job.id),
    )
    times = connection.execute(
        "SELECT interrupted FROM jobs WHERE owner = ? AND id = ?", (job.owner, job.id)
    ).fetchone()[0]
    if times >= most:
        why = Failure("job_interrupted", f"the service ended {times} times at the same place")
        set_state(connection, job, "failed", why)


def advance(connection: sqlite3.Connection, job: Job, position: int, active_ms: int) -> None:
    """Everything before `position` is decided; `active_ms` more were spent on it."""
    connection.execute(
        "UPDATE jobs SET position = ?, active_ms = active_ms + ?, updated_at = ?, interrupted = 0"
        " WHERE owner = ? AND id = ?",
        (position, active_ms, now(), job.owner, job.id),
    )


def reported(connection: sqlite3.Connection, job: Job, first: int) -> set[int]:
    """Places of the items from `first` on that are decided already."""
    rows = connection.execute(
        "SELECT n FROM job_items WHERE owner = ? AND job_id = ? AND n >= ?",
        (job.owner, job.id, first),
    )
    return {row[0] for row in rows}


def items(
    connection: sqlite3.Connection, job: Job, after: int, limit: int, outcome: Outcome | None
) -> list[Item]:
    """The report behind the item `after`, in the order of the source."""
    rows = connection.execute(
        "SELECT n, name, outcome, subject, code, reasons, quality FROM job_items"
        " WHERE owner = ? AND job_id = ? AND n > ? AND (? IS NULL OR outcome = ?)"
        " ORDER BY n LIMIT ?",
        (job.owner, job.id, after, outcome, outcome, limit),
    )
    return [_item(row) for row in rows]


def delete(connection: sqlite3.Connection, job: Job) -> None:
    """With its report."""
    for statement in (
        "DELETE FROM job_items WHERE owner = ? AND job_id = ?",
        "DELETE FROM jobs WHERE owner = ? AND id = ?",
    ):
        connection.execute(statement, (job.owner, job.id))


def finished_before(connection: sqlite3.Connection, owner: str, at: int) -> list[Job]:
    rows = connection.execute(
        f"{_SELECT} WHERE j.owner = ? AND j.finished_at < ? LIMIT 100", (owner, at)
    )
    return [_job(row) for row in rows]


def _item(row: Sequence[object]) -> Item:
    n, name, outcome, subject, code, reasons, quality = row
    return Item(
        n=cast(int, n),
        name=cast(str, name),
        outcome=cast(Outcome, outcome),
        subject=cast(str | None, subject),
        code=cast(str | None, code),
        reasons=tuple(cast(str, reasons).split(",")) if reasons else (),
        quality=cast(float | None, quality),
    )


def _job(row: Sequence[object]) -> Job:
    (id_, uid, owner, kind, gallery_id, gallery, state, options, error, *rest) = row
    position, total, succeeded, skipped, refused, active, created, updated, finished = rest
    numbers = cast(
        tuple[int, int | None, int, int, int], (position, total, succeeded, skipped, refused)
    )
    return Job(
        id=cast(int, id_),
        uid=cast(str, uid),
        owner=cast(str, owner),
        kind=cast(str, kind),
        gallery_id=cast(int, gallery_id),
        gallery=cast(str | None, gallery) or "",
        state=cast(State, state),
        options=cast(dict[str, Json], from_json(cast(str, options))),
        error=None if error is None else Failure(*json.loads(cast(str, error))),
        counts=Counts(*numbers),
        active_ms=cast(int, active),
        created_at=cast(int, created),
        updated_at=cast(int, updated),
        finished_at=cast(int | None, finished),
    )
