"""Reads a log back: every entry genuine, none missing, none moved, the end not cut."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import StartError
from app.security.audit import secret
from app.security.audit.chain import FIRST, Chain, Entry, EntryError
from app.security.audit.files import files
from app.security.keysource import KeySource

_CONFESSED = {
    "audit.cut": "records that entries up to {marked} were missing when the service started",
    "audit.lost": "records that {entries} entries could not be written",
}


@dataclass(slots=True)
class Findings:
    """What was read, and what is wrong with it, in the order of the log."""

    entries: int = 0
    last: Entry | None = None
    problems: list[str] = field(default_factory=list)


class AuditReader:
    """A log on disk, which may be growing."""

    def __init__(self, directory: Path, source: KeySource) -> None:
        """Raises StartError where there is none, or its secret does not open."""
        if not files(directory):
            raise StartError(f"there is no audit log in {directory}")
        self._directory = directory
        self.chain = Chain(secret.read(directory / "secret", source))

    def entries(self) -> Iterator[tuple[str, Entry | EntryError]]:
        """Every line in order, as `file:line` and what it is. A torn last line is left out: nobody
        was told that it had been written."""
        paths = files(self._directory)
        for path in paths:
            with path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    if path == paths[-1] and not line.endswith(b"\n"):
                        return
                    yield f"{path.name}:{number}", self._read(line)

    def verify(self) -> Findings:
        """Reads everything once."""
        marked = self._marked()
        found = Findings()
        expected: tuple[int, str] | None = (0, FIRST)
        for place, entry in self.entries():
            found.entries += 1
            if isinstance(entry, EntryError):
                found.problems.append(f"{place}: {entry}")
                expected = None
                continue
            self._follows(found, place, entry, expected)
            expected = (entry.seq, entry.mac)
            found.last = entry
        self._ends(found, marked)
        return found

    def _read(self, line: bytes) -> Entry | EntryError:
        try:
            return self.chain.read(line)
        except EntryError as error:
            return error

    def _follows(
        self, found: Findings, place: str, entry: Entry, expected: tuple[int, str] | None
    ) -> None:
        if expected is not None and entry.prev != expected[1]:
            before = expected[0]
            missing = entry.seq - before - 1
            if missing > 0:
                text = f"{missing} entries are missing between {before} and {entry.seq}"
            else:
                text = f"entry {entry.seq} does not follow entry {before}: moved or repeated"
            found.problems.append(f"{place}: {text}")
        confession = _CONFESSED.get(str(entry.fields["action"]))
        if confession is not None:
            details = entry.fields["details"]
            assert isinstance(details, dict)  # noqa: S101 - as `Chain.line` writes it
            found.problems.append(f"{place}: entry {entry.seq} {confession.format(**details)}")

    def _ends(self, found: Findings, marked: int | None) -> None:
        last = found.last.seq if found.last else 0
        if marked is None:
            found.problems.append("mark: missing or damaged: whether the end was cut is not known")
        elif marked > last:
            found.problems.append(f"the end is cut: {marked} entries were written, {last} are here")

    def _marked(self) -> int | None:
        try:
            return self.chain.marked((self._directory / "mark").read_text()).seq
        except (OSError, UnicodeDecodeError, EntryError):
            return None
