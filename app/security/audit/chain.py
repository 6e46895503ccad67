"""Entries and their chain: each line carries the MAC of the one before, and its own.

A MAC is HMAC-SHA256 under the log's own secret, so that only the service can extend or alter the
chain; SHA-256 alone could be computed anew by whoever edits the file.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from app.security.audit.event import Event, Head, Origin
from app.security.cipher import derived, encoded

FIRST = "0" * 64
"""What the first entry names as the one before."""


class EntryError(Exception):
    """A line that is not an entry of this log, or not as it was written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line, read back and found genuine."""

    seq: int
    prev: str
    mac: str
    fields: dict[str, object]

    @property
    def head(self) -> Head:
        subject = self.fields.get("subject")
        return Head(self.seq, self.mac, subject if isinstance(subject, str) else None)


class Chain:
    """Writes and checks lines under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._lines = derived(secret, b"lines")
        self._subjects = derived(secret, b"subjects")
        self._marks = derived(secret, b"marks")

    def subject(self, owner: str, gallery: str | None, subject: str) -> str:
        """The keyed hash that stands for a subject in the log."""
        message = encoded(owner, gallery or "", subject)
        return hmac.digest(self._subjects, message, hashlib.sha256)[:16].hex()

    def line(
        self, event: Event, at_ms: int, origin: Origin, seq: int, prev: str
    ) -> tuple[str, Head]:
        """The entry behind `prev`, with its line's end, and its place."""
        subject = event.subject and self.subject(event.owner, event.gallery, event.subject)
        moment = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "action": event.action,
            "at": moment.replace("+00:00", "Z"),
            "details": dict(event.details),
            "gallery": event.gallery,
            "key": origin.key_id,
            "owner": event.owner,
            "prev": prev,
            "request": origin.request_id,
            "seq": seq,
            "subject": subject,
        }
        mac = self._mac(fields)
        return _text({**fields, "mac": mac}) + "\n", Head(seq, mac, subject)

    def read(self, line: bytes) -> Entry:
        """Raises EntryError unless the line is exactly as it was written."""
        try:
            fields = json.loads(line)
            mac = fields.pop("mac")
            genuine = hmac.compare_digest(str(mac), self._mac(fields))
            if not genuine or line != (_text({**fields, "mac": mac}) + "\n").encode():
                raise EntryError("is not as it was written")
            return Entry(int(fields["seq"]), str(fields["prev"]), str(mac), fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EntryError("is no entry") from error

    def mark(self, head: Head) -> str:
        """How far the log had come, for a file of its own: tells a cut end."""
        text = f"{head.seq} {head.mac}"
        return f"{text} {hmac.new(self._marks, text.encode(), hashlib.sha256).hexdigest()}\n"

    def marked(self, text: str) -> Head:
        """Raises EntryError unless this is a mark of this log."""
        parts = text.split()
        if len(parts) == 3 and parts[0].isdecimal():
            head = Head(int(parts[0]), parts[1], None)
            if hmac.compare_digest(self.mark(head), text):
                return head
        raise EntryError("is no mark")

    def _mac(self, fields: dict[str, object]) -> str:
        return hmac.new(self._lines, _text(fields).encode(), hashlib.sha256).hexdigest()


def _text(fields: dict[str, object]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
