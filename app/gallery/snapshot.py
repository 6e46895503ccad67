"""A gallery's sealed segments on disk, so that a restart need not rebuild them.

Only whole segments are written, each once, and again when some of it is erased; what is newer is
read from the database. The manifest binds the files to the database (its epoch, which changes
when a backup is restored), the gallery, the contract and a revision.
"""

import hashlib
import json
import logging
import secrets
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from app.gallery.failpoints import Failpoints
from app.gallery.files import sync_directory, write_durably
from app.gallery.index.segment import Part, Segment, View
from app.gallery.segment_file import SegmentFile, SnapshotError, read_segment, write_segment
from app.gallery.types import Gallery

MANIFEST = "manifest.json"
_log = logging.getLogger("norma.gallery")


@dataclass(slots=True)
class _Written:
    """The file of a segment in memory."""

    segment: Segment
    file: SegmentFile


class Snapshot:
    """The snapshot of one gallery. Used by one thread at a time."""

    def __init__(
        self, directory: Path, epoch: str, gallery: Gallery, feature_type: str, points: Failpoints
    ) -> None:
        self._directory = directory / gallery.uid
        self._identity = {
            "epoch": epoch,
            "gallery": gallery.uid,
            "contract_id": gallery.spec.contract_id,
            "dim": gallery.spec.dim,
            "feature_type": feature_type,
            "sealed": gallery.seal is not None,
        }
        self.contract_id = gallery.spec.contract_id
        self._seal = gallery.seal
        self._dim = gallery.spec.dim
        self._feature_type = feature_type
        self._points = points
        self._written: list[_Written] = []

    def load(self, revision: int, threads: int) -> list[Part]:
        """The parts on disk; none, and the files removed, where anything is not as it should be.

        `revision` is the database's: a snapshot from its future belongs to another life of it.
        """
        try:
            entries = self._manifest(revision)
            with ThreadPoolExecutor(threads) as executor:
                parts = list(executor.map(self._read, entries))
        except SnapshotError as error:
            _log.warning("snapshot refused, rebuilding from the database: %s", error)
            self.discard()
            return []
        self._written = [
            _Written(part.segment, entry) for part, entry in zip(parts, entries, strict=True)
        ]
        # A crash between the manifest and the sweep leaves files that hold erased faces.
        self._sweep()
        return parts

    def _read(self, entry: SegmentFile) -> Part:
        return read_segment(self._directory, entry, self._dim, self._feature_type, self._seal)

    def save(self, view: View) -> None:
        """Brings the files up to the view: sealed segments without their dead."""
        if self._is_current(view):
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        kept = [self._file_of(part) for part in view.parts if part.segment.full]
        self._written = [written for written in kept if written is not None]
        self._points.point("snapshot_segments")
        body = {
            **self._identity,
            "revision": view.revision,
            "segments": [asdict(written.file) for written in self._written],
        }
        text = json.dumps({**body, "sha256": _digest(body)}).encode()
        write_durably(self._directory / MANIFEST, lambda file: _write(file, text))
        self._points.point("snapshot_manifest")
        self._sweep()

    def discard(self) -> None:
        self._written = []
        shutil.rmtree(self._directory, ignore_errors=True)

    def _is_current(self, view: View) -> bool:
        have = [(written.segment, written.file.dead) for written in self._written]
        return have == [(part.segment, part.dead) for part in view.parts if part.segment.full]

    def _file_of(self, part: Part) -> _Written | None:
        for written in self._written:
            if written.segment is part.segment and written.file.dead == part.dead:
                return written
        name = f"{secrets.token_hex(8)}.segment"
        file = write_segment(self._directory, name, part, self._seal)
        return None if file is None else _Written(part.segment, file)

    def _sweep(self) -> None:
        """Removes what the manifest does not name, half-written files too."""
        if not self._directory.exists():
            return
        named = {MANIFEST, *(written.file.name for written in self._written)}
        for path in self._directory.iterdir():
            if path.name not in named:
                path.unlink()
        sync_directory(self._directory)

    def _manifest(self, revision: int) -> Sequence[SegmentFile]:
        path = self._directory / MANIFEST
        if not path.exists():
            self.discard()
            return []
        try:
            body = json.loads(path.read_bytes())
            if body.pop("sha256") != _digest(body):
                raise SnapshotError("the manifest is damaged")
            foreign = {k: body[k] for k, v in self._identity.items() if body[k] != v}
            entries = [SegmentFile(**entry) for entry in body["segments"]]
            newer = body["revision"] > revision
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SnapshotError(f"the manifest is damaged: {error}") from error
        if foreign or newer:
            raise SnapshotError(f"the manifest belongs to something else: {foreign or 'newer'}")
        return [SegmentFile(e.name, e.sha256, e.rows, 0) for e in entries]


def _digest(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _write(file: IO[bytes], text: bytes) -> None:
    file.write(text)
