"""A storm of enrolments, erasures and searches against a process that gets killed.

The ledger notes every intent before it is sent and every acknowledgement after it came. After a
kill each subject must be exactly as its last acknowledged operation left it, or as the one
operation in doubt would have: nothing in between, nothing else.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from app.gallery.erase_check import holding
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.security.audit.log import AuditLog
from tests.faults.gallery_process import (
    CONTRACT,
    GALLERY,
    OWNER,
    feature,
    keepsake,
    opened,
    source,
)

IN_FLIGHT = 12
SUBJECTS = 60
State = frozenset[int]
"""The seeds of a subject's faces; an absent subject has none."""


@dataclass(slots=True)
class Subject:
    """What is known of one subject: its state, and the one it may have come to since."""

    state: State = frozenset()
    doubtful: State | None = None


@dataclass(slots=True)
class Ledger:
    subjects: dict[str, Subject] = field(default_factory=dict)
    erased: set[int] = field(default_factory=set)
    """Seeds of faces that a receipt says are purged, since the last judgement."""
    erased_before: set[int] = field(default_factory=set)
    sealed: dict[int, bytes] = field(default_factory=dict)
    """What the vault's file holds of a seed, as it lies there."""
    next_seed: int = 0
    acknowledged: int = 0
    changes: int = 0
    """Of these, enrolments and erasures."""

    def subject(self, key: str) -> Subject:
        return self.subjects.setdefault(key, Subject())


class Storm:
    """Sends operations, at most one at a time for each subject, until the process dies."""

    def __init__(
        self, ledger: Ledger, rng: random.Random, process: "subprocess.Popen[str]"
    ) -> None:
        self._ledger = ledger
        self._rng = rng
        self._process = process
        self._pending: dict[int, dict[str, object]] = {}
        self._sent = 0
        self._space = threading.Semaphore(IN_FLIGHT)
        self._lock = threading.Lock()

    def run(self, kill_after: int | None) -> None:
        """Ends when the process is gone; kills it after so many acknowledgements itself."""
        reader = threading.Thread(target=self._read, args=(kill_after,))
        reader.start()
        try:
            while self._process.poll() is None:
                if self._space.acquire(timeout=0.1):
                    self._send()
        except (BrokenPipeError, OSError):
            pass
        reader.join()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()

    def _send(self) -> None:
        with self._lock:
            busy = {str(line["key"]) for line in self._pending.values()}
            free = [f"s{n}" for n in range(SUBJECTS) if f"s{n}" not in busy]
            line = self._choose(self._rng.choice(free))
            self._pending[int(str(line["n"]))] = line
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(line) + "\n")
        stdin.flush()

    def _choose(self, key: str) -> dict[str, object]:
        ledger, rng = self._ledger, self._rng
        subject = ledger.subject(key)
        self._sent += 1
        line: dict[str, object] = {"n": self._sent, "key": key, "seed": 0, "count": 0}
        roll = rng.random()
        if roll < 0.2 and subject.state:
            subject.doubtful = frozenset()
            return {**line, "op": "erase"}
        if roll < 0.3:
            return {**line, "op": "search"}
        count = rng.randint(1, 4)
        seed = ledger.next_seed
        ledger.next_seed += count
        subject.doubtful = subject.state | set(range(seed, seed + count))
        return {**line, "op": "enrol", "seed": seed, "count": count}

    def _read(self, kill_after: int | None) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        for seen, text in enumerate(stdout, start=1):
            if text.endswith("\n"):
                self._settle(json.loads(text))
            if seen == kill_after:
                self._process.send_signal(signal.SIGKILL)

    def _settle(self, said: dict[str, object]) -> None:
        with self._lock:
            line = self._pending.pop(int(str(said["n"])))
            subject = self._ledger.subject(str(line["key"]))
            if line["op"] != "search":
                assert said["ok"], said
                if line["op"] == "erase" and said["purged"]:
                    self._ledger.erased |= subject.state
                assert subject.doubtful is not None
                subject.state, subject.doubtful = subject.doubtful, None
                self._ledger.changes += 1
            self._ledger.acknowledged += 1
        self._space.release()


def start(directory: Path, failpoints: str) -> "subprocess.Popen[str]":
    """A serving process, ready."""
    here = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, str(here / "gallery_process.py"), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(here.parent.parent),
            "NORMA_FAILPOINTS": failpoints,
        },
    )
    stdout: IO[str] | None = process.stdout
    assert stdout is not None
    first = stdout.readline()
    # An armed point may end the process before it is ready: that is a kill like any other.
    assert first == "ready\n" or process.wait() == -signal.SIGKILL, first
    return process


def judge(directory: Path, ledger: Ledger) -> None:
    """Opens what is left and compares it with the ledger, which then takes it over."""
    service = opened(directory)
    try:
        _compare(service, ledger)
        _search_finds_everybody(service, ledger)
        _vault_holds_everybody(service, ledger)
        service._store.keeper.purge().result()
        gallery = service.gallery(OWNER, GALLERY)
        view = service._store.projections.get(gallery).view
        assert (view.revision, view.faces) == (gallery.revision, gallery.faces)
    finally:
        service.close()
        if isinstance(service.store.options.audit, AuditLog):
            service.store.options.audit.close()
    assert_no_residue(directory, ledger.erased)
    gone = [ledger.sealed.pop(seed) for seed in ledger.erased & set(ledger.sealed)]
    assert holding(directory, gone) == [], "an erased keepsake is still in a file"
    ledger.erased_before |= ledger.erased
    ledger.erased = set()


def _compare(service: GalleryService, ledger: Ledger) -> None:
    by_source = {source(seed): seed for seed in range(ledger.next_seed)}
    listed, _ = service.subjects(OWNER, GALLERY, None, 1000)
    found: dict[str, State] = {}
    for listed_subject in listed:
        faces = service.faces(OWNER, GALLERY, listed_subject.key)
        seeds = [by_source[face.source or b""] for face in faces]
        assert len(set(seeds)) == len(seeds) == listed_subject.faces, "duplicate or miscounted"
        found[listed_subject.key] = frozenset(seeds)
    assert set(found) <= set(ledger.subjects), "phantom subject"
    for key, subject in ledger.subjects.items():
        state = found.get(key, frozenset())
        possible = {subject.state} | ({subject.doubtful} if subject.doubtful is not None else set())
        assert state in possible, f"{key}: {sorted(state)}, expected one of {possible}"
        if subject.doubtful is not None and state == subject.doubtful == frozenset():
            ledger.erased |= subject.state
        subject.state, subject.doubtful = state, None
    gallery = service.gallery(OWNER, GALLERY)
    assert gallery.subjects == len(found)
    assert gallery.faces == sum(len(state) for state in found.values())


def _search_finds_everybody(service: GalleryService, ledger: Ledger) -> None:
    for key, subject in ledger.subjects.items():
        for seed in sorted(subject.state)[:3]:
            answer = service.search(OWNER, GALLERY, feature(seed), CONTRACT, SearchOptions(k=1))
            assert answer.matches[0].subject.key == key
            assert answer.matches[0].similarity > 0.999
    for seed in sorted(ledger.erased)[-20:]:
        answer = service.search(OWNER, GALLERY, feature(seed), CONTRACT, SearchOptions(k=1))
        assert all(match.similarity < 0.999 for match in answer.matches)


def _vault_holds_everybody(service: GalleryService, ledger: Ledger) -> None:
    """Where there is a vault: each face's own, and nothing of the erased ones, keys included."""
    if not service.gallery(OWNER, GALLERY).spec.policy.vault:
        return
    by_source = {source(seed): seed for seed in range(ledger.next_seed)}
    held = {key: one.state for key, one in ledger.subjects.items() if one.state}
    with service.store.read() as connection:
        rows = dict(connection.execute("SELECT face_id, keepsake FROM vault").fetchall())
        [keys] = connection.execute("SELECT count(*) FROM vault_keys").fetchone()
    for key in held:
        for one in service.dossier(OWNER, GALLERY, key).faces:
            seed = by_source[one.face.source or b""]
            assert one.keepsake == keepsake(seed)
            ledger.sealed[seed] = rows.pop(one.face.id)[:64]
    assert (rows, keys) == ({}, len(held))


def assert_no_residue(directory: Path, erased: set[int]) -> None:
    """No file holds an erased feature's bytes as float32 or float16, or its photo's hash."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    for path in files:
        data = path.read_bytes()
        if path.name == "reserve":
            assert not data.strip(b"\0")
            continue
        for seed in erased:
            row = feature(seed)
            traces = (row.tobytes()[:64], row.astype(np.float16).tobytes()[:32], source(seed))
            for trace in (*traces, keepsake(seed)[:64]):
                assert trace not in data, f"face {seed} is still in {path.name}"
