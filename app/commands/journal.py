"""What an import from the command line has seen, so that the same command goes on where it was."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from app.errors import StartError


class Journal:
    """A file of JSON lines: first what was asked for, then each item's outcome, as it comes."""

    def __init__(self, path: Path, asked: Mapping[str, str | None]) -> None:
        """Raises StartError where the file is of another import."""
        self._outcomes: dict[tuple[str, str], str] = {}
        if path.exists():
            self._read(path, asked)
        self._file = path.open("a", encoding="utf-8")
        if path.stat().st_size == 0:
            self._write({"import": dict(asked)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def knows(self, item: str, digest: str) -> bool:
        """Whether this very content has an outcome already."""
        return (item, digest) in self._outcomes

    def note(self, item: str, digest: str, outcome: str, code: str | None) -> None:
        self._outcomes[item, digest] = code or outcome
        entry = {"item": item, "sha256": digest, "outcome": outcome, "code": code}
        self._write({name: value for name, value in entry.items() if value is not None})

    def flush(self) -> None:
        self._file.flush()

    def counts(self) -> Counter[str]:
        """Items by outcome; of those that were refused, by the reason's code."""
        return Counter(self._outcomes.values())

    def _write(self, entry: Mapping[str, object]) -> None:
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def _read(self, path: Path, asked: Mapping[str, str | None]) -> None:
        """A line that an interruption cut short is taken away: its item is sent again."""
        held = path.read_bytes()
        whole = held[: held.rfind(b"\n") + 1]
        if len(whole) < len(held):
            os.truncate(path, len(whole))
        try:
            entries = [json.loads(text) for text in whole.decode().split("\n")[:-1]]
        except ValueError as error:
            raise StartError(f"{path}: is no journal of an import") from error
        for entry in entries:
            if entry.get("import", asked) != asked:
                raise StartError(f"{path}: is of another import, {entry['import']}; give --journal")
            if "item" in entry:
                outcome = entry.get("code") or entry["outcome"]
                self._outcomes[entry["item"], entry.get("sha256", "")] = outcome
