"""Entries as an upload: a tar archive of photos whose manifest says whose each is."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field

from app.gallery.types import Json, NewFace, SubjectSpec
from app.jobs.sources.entries import Content, Features

PACK_BYTES = 24 * 1024 * 1024
PACK_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Packed:
    """An item to be sent."""

    name: str
    subject: str
    spec: SubjectSpec
    content: Content = field(repr=False)

    @property
    def digest(self) -> str:
        """Equal for equal content under the same subject."""
        digest = hashlib.sha256(self.subject.encode() + b"\0")
        if isinstance(self.content, bytes):
            digest.update(self.content)
        else:
            digest.update(json.dumps(line(self, ""), sort_keys=True).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Pack:
    """One upload, and the digests of its items by name."""

    body: bytes = field(repr=False)
    digests: dict[str, str]


def packs(items: Iterable[Packed]) -> Iterator[Pack]:
    """Uploads of a bounded size, in the items' order."""
    held: list[Packed] = []
    size = 0
    for item in items:
        held.append(item)
        size += len(item.content) if isinstance(item.content, bytes) else 0
        if size >= PACK_BYTES or len(held) == PACK_ITEMS:
            yield _pack(held)
            held, size = [], 0
    if held:
        yield _pack(held)


def _pack(items: list[Packed]) -> Pack:
    lines = [json.dumps(line(item, str(n)), ensure_ascii=False) for n, item in enumerate(items)]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, "manifest.ndjson", "\n".join(lines).encode())
        for n, item in enumerate(items):
            if isinstance(item.content, bytes):
                _add(archive, str(n), item.content)
    return Pack(buffer.getvalue(), {item.name: item.digest for item in items})


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def line(item: Packed, path: str) -> dict[str, Json]:
    """A manifest's line about an item; of a photo, it is called `path` in the archive."""
    spec = item.spec
    said: dict[str, Json] = {
        "item": item.name,
        "subject": item.subject,
        "name": spec.name,
        "metadata": dict(spec.metadata),
        "tags": list(spec.tags),
        "consent_ref": spec.consent_ref,
        "expires_at": spec.expires_at,
    }
    if isinstance(item.content, Features):
        faces: list[Json] = [_face(face) for face in item.content.faces]
        return said | {"contract_id": item.content.contract_id, "faces": faces}
    return said | {"path": path}


def _face(face: NewFace) -> Json:
    return {
        "feature": base64.b64encode(face.feature.astype("<f4").tobytes()).decode(),
        "quality": face.quality,
        "box": None if face.box is None else list(astuple(face.box)),
        "source_sha256": None if face.source is None else face.source.hex(),
        "created_at": face.created_at,
    }
