"""What jobs have reported about subjects: erased with them."""

import sqlite3
from dataclasses import dataclass

from app.gallery.types import Gallery


def forget_subject(connection: sqlite3.Connection, gallery: Gallery, key: str) -> None:
    """The names of a subject's photos are about the subject too."""
    connection.execute(
        "DELETE FROM job_items WHERE owner = ? AND gallery_id = ? AND subject = ?",
        (gallery.owner, gallery.id, key),
    )


def forget_gallery(connection: sqlite3.Connection, gallery: Gallery) -> None:
    """Every job of the gallery, running ones too, and every report."""
    connection.execute(
        "DELETE FROM job_items WHERE owner = ? AND job_id IN"
        " (SELECT id FROM jobs WHERE owner = ? AND gallery_id = ?)",
        (gallery.owner, gallery.owner, gallery.id),
    )
    connection.execute(
        "DELETE FROM jobs WHERE owner = ? AND gallery_id = ?", (gallery.owner, gallery.id)
    )


@dataclass(frozen=True, slots=True)
class Report:
    """What an import's report says of one of its items."""

    job: str
    item: str
    outcome: str
    code: str | None
    quality: float | None


def about(connection: sqlite3.Connection, gallery: Gallery, key: str) -> list[Report]:
    """Of the items that went to this subject."""
    rows = connection.execute(
        "SELECT j.uid, i.name, i.outcome, i.code, i.quality FROM job_items i"
        " JOIN jobs j ON j.id = i.job_id AND j.owner = i.owner"
        " WHERE i.owner = ? AND i.gallery_id = ? AND i.subject = ? ORDER BY i.job_id, i.n",
        (gallery.owner, gallery.id, key),
    )
    return [Report(*row) for row in rows]
