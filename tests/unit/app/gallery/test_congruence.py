"""The gallery against a dictionary, over random histories of three owners with restarts."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.errors import GalleryNotFoundError, SubjectNotFoundError
from app.gallery.enrolment import Enrolment
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.gallery.types import Filter, GallerySpec, NewFace, SubjectSpec

DIM = 8
MEMORY = Path("/dev/shm")  # noqa: S108 - the directories in it have names of their own
"""Where fsync costs nothing; what a crash leaves is tests/faults' business."""
SPEC = GallerySpec("g", "c", DIM, conflict="off", identify=True)
OWNERS = ("red", "green", "blue")
owners = st.sampled_from(OWNERS)
keys = st.sampled_from([f"s{n}" for n in range(12)])
seeds = st.integers(0, 10_000)
tags = st.sampled_from([(), ("a",), ("b",), ("a", "b")])


def feature(seed: int) -> np.ndarray:
    """Few distinct ones, so that equal similarities are ordinary."""
    rng = np.random.default_rng(seed % 40)
    return rng.standard_normal(DIM).astype(np.float32) * (1 + seed % 3)


class Person:
    def __init__(self, tags: tuple[str, ...]) -> None:
        self.tags = tags
        self.faces: list[tuple[str, np.ndarray]] = []


class Congruence(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.service = self.opened()
        self.people: dict[str, dict[str, Person]] = {owner: {} for owner in OWNERS}
        self.order: dict[str, int] = {}
        for owner in OWNERS:
            self.service.create_gallery(owner, SPEC)

    def opened(self) -> GalleryService:
        options = StoreOptions(feature_type="float32", segment_rows=16)
        return GalleryService(GalleryStore(self.directory, options))

    @rule(owner=owners, key=keys, seed=seeds, count=st.integers(1, 7), tags=tags)
    def enrol(self, owner: str, key: str, seed: int, count: int, tags: tuple[str, ...]) -> None:
        rows = [feature(seed + n) for n in range(count)]
        spec = SubjectSpec(tags=tags)
        answer = self.service.enrol(
            owner, "g", Enrolment(key, [NewFace(row) for row in rows], "c", create=spec)
        )
        person = self.people[owner].setdefault(key, Person(tags))
        for face, row in zip(answer.enrolled.faces, rows, strict=True):
            person.faces.append((face.uid, row))
            self.order[face.uid] = len(self.order)

    @rule(owner=owners, key=keys)
    def erase(self, owner: str, key: str) -> None:
        if key in self.people[owner]:
            assert self.service.erase_subject(owner, "g", key).purged
            del self.people[owner][key]
        else:
            with pytest.raises(SubjectNotFoundError):
                self.service.erase_subject(owner, "g", key)

    @rule(owner=owners, key=keys, which=st.integers(0, 50))
    def erase_face(self, owner: str, key: str, which: int) -> None:
        person = self.people[owner].get(key)
        if person is not None and person.faces:
            uid, _ = person.faces.pop(which % len(person.faces))
            assert self.service.erase_face(owner, "g", key, uid).purged

    @rule(owner=owners, key=keys, tags=tags)
    def retag(self, owner: str, key: str, tags: tuple[str, ...]) -> None:
        self.service.put_subject(owner, "g", key, SubjectSpec(tags=tags))
        self.people[owner].setdefault(key, Person(tags)).tags = tags

    @rule(owner=owners)
    def erase_gallery(self, owner: str) -> None:
        assert self.service.erase_gallery(owner, "g").purged
        with pytest.raises(GalleryNotFoundError):
            self.service.gallery(owner, "g")
        self.people[owner] = {}
        self.service.create_gallery(owner, SPEC)

    @precondition(lambda self: len(self.order) > 0)
    @rule()
    def restart(self) -> None:
        self.service.close()
        self.service = self.opened()

    @rule(owner=owners, seed=seeds, k=st.integers(1, 6), tag=st.sampled_from([(), ("a",)]))
    def search(self, owner: str, seed: int, k: int, tag: tuple[str, ...]) -> None:
        options = SearchOptions(k=k, filter=Filter(tags=tag))
        answer = self.service.search(owner, "g", feature(seed), "c", options)
        found = [(m.subject.key, m.face.uid, m.similarity) for m in answer.matches]
        assert found == self.expected(owner, feature(seed), k, tag)

    def expected(
        self, owner: str, probe: np.ndarray, k: int, tag: tuple[str, ...]
    ) -> list[tuple[str, str, float]]:
        unit = probe / np.linalg.norm(probe.astype(np.float64))
        scored = []
        for key, person in self.people[owner].items():
            if set(tag) <= set(person.tags):
                for uid, row in person.faces:
                    wide = row.astype(np.float64)
                    cosine = (wide * unit).sum() / np.linalg.norm(wide)
                    scored.append((-np.float32(np.clip(cosine, -1, 1)), self.order[uid], key, uid))
        best: dict[str, tuple[str, str, float]] = {}
        for score, _, key, uid in sorted(scored):
            best.setdefault(key, (key, uid, -float(score)))
        return list(best.values())[:k]

    @invariant()
    def counts_are_right(self) -> None:
        for owner in OWNERS:
            gallery = self.service.gallery(owner, "g")
            people = self.people[owner]
            assert gallery.subjects == len(people)
            assert gallery.faces == sum(len(person.faces) for person in people.values())
            listed, _ = self.service.subjects(owner, "g", None, 100)
            assert [s.key for s in listed] == sorted(people)
            assert all(s.faces == len(people[s.key].faces) for s in listed)

    def teardown(self) -> None:
        self.service.close()
        shutil.rmtree(self.directory)


TestCongruence = Congruence.TestCase
TestCongruence.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
