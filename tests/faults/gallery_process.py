"""A process that serves a gallery over its standard streams, to be killed.

One JSON line in, one out: {"n": 7, "op": "enrol", "key": "s1", "seed": 5, "count": 3}. A line is
answered once the operation is acknowledged. The "embedder" is a function of the seed.
"""

import hashlib
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import GalleryExistsError, NormaError
from app.gallery.enrolment import Enrolment
from app.gallery.policy import Policy
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.security.audit.event import SILENT
from app.security.audit.log import AuditLog
from app.security.keysource import KeyFile, NoKey

DIM = 64
OWNER, GALLERY, CONTRACT = "owner", "people", "contract"
SPEC = GallerySpec(GALLERY, CONTRACT, DIM, conflict="off", identify=True)
SEGMENT_ROWS = 64


def feature(seed: int) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(DIM) * 2).astype(np.float32)


def keepsake(seed: int) -> bytes:
    """What a vault keeps: as long as several pages."""
    return b"keepsake %d " % seed * 1000


def source(seed: int) -> bytes:
    return hashlib.sha256(str(seed).encode()).digest()


def key_file(directory: Path) -> KeyFile:
    """Beside the data directory: where it is there, the galleries are encrypted."""
    return KeyFile(directory.with_name(directory.name + ".key"))


def audit_directory(directory: Path) -> Path:
    return directory.with_name(directory.name + ".audit")


def opened(directory: Path) -> GalleryService:
    key = key_file(directory)
    encrypted = key.path.exists()
    options = StoreOptions(
        segment_rows=SEGMENT_ROWS,
        keys=key if encrypted else NoKey(),
        audit=AuditLog(audit_directory(directory), key) if encrypted else SILENT,
    )
    service = GalleryService(GalleryStore(directory, options), 1)
    with suppress(GalleryExistsError):
        service.create_gallery(OWNER, replace(SPEC, policy=Policy(vault=key.path.exists())))
    return service


def perform(service: GalleryService, line: dict[str, object]) -> dict[str, object]:
    key, seed, count = str(line["key"]), int(str(line["seed"])), int(str(line["count"]))
    try:
        if line["op"] == "enrol":
            faces = [
                NewFace(feature(s), source=source(s), keepsake=keepsake(s))
                for s in range(seed, seed + count)
            ]
            enrolment = Enrolment(key, faces, CONTRACT, create=SubjectSpec())
            service.enrol(OWNER, GALLERY, enrolment)
        elif line["op"] == "erase":
            receipt = service.erase_subject(OWNER, GALLERY, key)
            return {"n": line["n"], "ok": True, "purged": receipt.purged}
        else:
            service.search(OWNER, GALLERY, feature(seed), CONTRACT, SearchOptions(k=3))
    except NormaError as error:
        return {"n": line["n"], "ok": False, "code": error.code}
    return {"n": line["n"], "ok": True}


def main() -> None:
    service = opened(Path(sys.argv[1]))
    lock = threading.Lock()

    def answer(text: str) -> None:
        said = json.dumps(perform(service, json.loads(text)))
        with lock:
            sys.stdout.write(said + "\n")
            sys.stdout.flush()

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with ThreadPoolExecutor(12) as executor:
        for text in sys.stdin:
            executor.submit(answer, text)
    service.close()


if __name__ == "__main__":
    main()
