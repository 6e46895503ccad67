"""What is done in process: filling a data directory, and durable enrolments without HTTP."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from app.gallery import operations
from app.gallery.enrolment import Enrolment
from app.gallery.features import packed
from app.gallery.room import open_store
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.gallery.writer import Transaction
from app.security.caller import LOCAL_OWNER as OWNER
from app.settings import Settings
from benchmarks.gallery.vectors import DIM, PER_SUBJECT, Features

NAME, CONTRACT = "people", "contract"
SPEC = GallerySpec(NAME, CONTRACT, DIM, conflict="off", identify=True)


def fill(store: GalleryStore, faces: Features) -> float:
    """Enrols everybody, many to a transaction; seconds."""
    store.write(lambda t: operations.create_gallery(t, OWNER, SPEC))
    start = time.perf_counter()
    for first in range(0, len(faces) // PER_SUBJECT, 200):
        store.write(lambda t, first=first: _some(t, faces, first))  # type: ignore[misc]
    return time.perf_counter() - start


def _some(transaction: Transaction, faces: Features, first: int) -> None:
    for n in range(first, min(first + 200, len(faces) // PER_SUBJECT)):
        rows = faces[n * PER_SUBJECT : (n + 1) * PER_SUBJECT]
        ready = [packed(NewFace(row), DIM, "float16") for row in rows]
        operations.add_faces(transaction, OWNER, NAME, f"s{n}", ready, "float16", SubjectSpec())


def closed_loop(work: Callable[[int], object], clients: int, seconds: float) -> dict[str, float]:
    """Each client asks again as soon as it is answered."""
    times: list[list[float]] = [[] for _ in range(clients)]
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        n = number
        while time.perf_counter() < end:
            start = time.perf_counter()
            work(n)
            times[number].append(time.perf_counter() - start)
            n += clients

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    each = sorted(t for own in times for t in own)
    return {
        "per_second": len(each) / (time.perf_counter() - start),
        "p50_ms": 1000 * each[len(each) // 2],
        "p99_ms": 1000 * each[min(len(each) - 1, int(len(each) * 0.99))],
    }


def enrolments(directory: Path, faces: Features, writers: int, seconds: float) -> float:
    """Durable single-face enrolments a second."""
    service = GalleryService(open_store(Settings(data_dir=directory)))
    service.create_gallery(OWNER, SPEC)

    def enrol(n: int) -> None:
        face = NewFace(faces[n % len(faces)])
        enrolment = Enrolment(f"s{n}", [face], CONTRACT, create=SubjectSpec())
        service.enrol(OWNER, NAME, enrolment)

    found = closed_loop(enrol, writers, seconds)["per_second"]
    service.close()
    return found
