"""Which erased faces the snapshot files may still hold."""

import sqlite3

from app.gallery.writer import Transaction


def noted(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """(face id, gallery uid) of every erased face that may still be in a file."""
    return connection.execute("SELECT face_id, gallery_uid FROM purges").fetchall()


def forget(transaction: Transaction, face_ids: list[int]) -> None:
    """These are in no file any more."""
    transaction.connection.executemany(
        "DELETE FROM purges WHERE face_id = ?", [(face_id,) for face_id in face_ids]
    )
