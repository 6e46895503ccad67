"""Answers remembered by the caller's idempotency key, for a day."""

import sqlite3

from app.errors import IdempotencyConflictError
from app.gallery.rows.common import now

KEPT_MS = 24 * 3600 * 1000


def recall(connection: sqlite3.Connection, owner: str, key: str, digest: bytes) -> str | None:
    """What the same request was answered; None the first time.

    Raises IdempotencyConflictError where the key came before with another request.
    """
    row = connection.execute(
        "SELECT digest, result FROM idempotency WHERE owner = ? AND key = ?", (owner, key)
    ).fetchone()
    if row is None:
        return None
    if row[0] != digest:
        raise IdempotencyConflictError("this idempotency key came before with another request")
    return str(row[1])


def remember(
    connection: sqlite3.Connection, owner: str, key: str, digest: bytes, result: str
) -> None:
    """Keeps the answer, in the transaction of what it answers for; forgets those of yesterday."""
    at = now()
    connection.execute(
        "DELETE FROM idempotency WHERE owner = ? AND created_at < ?", (owner, at - KEPT_MS)
    )
    connection.execute(
        "INSERT INTO idempotency (owner, key, digest, result, created_at) VALUES (?, ?, ?, ?, ?)",
        (owner, key, digest, result, at),
    )
