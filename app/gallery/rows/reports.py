"""What jobs have reported about subjects: erased with them."""

import sqlite3

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
