"""A05: three owners whose galleries, subjects and very faces have the same names and features."""

from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.errors import CursorInvalidError, EnrolledFaceNotFoundError, GalleryNotFoundError
from app.gallery.enrolment import Enrolment
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from tests.unit.app.gallery.conftest import Open

OWNERS = ("ada", "bob", "cy")
GALLERIES = ("x", "y")
PEOPLE = 4
DIM, CONTRACT = 8, "test-contract"

step = st.tuples(
    st.sampled_from(["enrol", "enrol", "enrol", "erase", "erase gallery"]),
    st.sampled_from(OWNERS),
    st.sampled_from(GALLERIES),
    st.integers(0, PEOPLE - 1),
)


def feature(person: int) -> NDArray[np.float32]:
    """The same for every owner."""
    return (np.eye(1, DIM, person, dtype=np.float32) * 10)[0]


class World:
    """The store under test beside plain dictionaries."""

    def __init__(self, store: GalleryService) -> None:
        self.store = store
        self.requests: Counter[str] = Counter()
        self.kept: dict[tuple[str, str], dict[str, list[str]]] = {}

    def act(self, what: str, owner: str, gallery: str, person: int) -> None:
        """One owner's step, in the store and in the dictionaries."""
        key, place = f"p{person}", (owner, gallery)
        if what == "enrol":
            self._enrol(place, key, person)
        elif what == "erase" and key in self.kept.get(place, {}):
            self.store.erase_subject(*place, key)
            del self.kept[place][key]
        elif what == "erase gallery" and place in self.kept:
            self.store.erase_gallery(*place)
            del self.kept[place]

    def _enrol(self, place: tuple[str, str], key: str, person: int) -> None:
        if place not in self.kept:
            self.store.create_gallery(place[0], GallerySpec(place[1], CONTRACT, DIM, identify=True))
            self.kept[place] = defaultdict(list)
        enrolment = Enrolment(
            key,
            [NewFace(feature(person))],
            CONTRACT,
            create=SubjectSpec(),
            idempotency_key=f"request-{self.requests[place[0]]}",  # the same for every owner
        )
        self.requests[place[0]] += 1
        done = self.store.enrol(*place, enrolment)
        self.kept[place][key] += [one.uid for one in done.enrolled.faces]

    def check(self) -> None:
        """Every owner finds, lists and reads what is theirs, and nothing besides."""
        for owner in OWNERS:
            mine = {g for o, g in self.kept if o == owner}
            assert {one.name for one in self.store.galleries(owner, None, 10)[0]} == mine
            for gallery in GALLERIES:
                if gallery in mine:
                    self._check_gallery(owner, gallery)
                else:
                    self._check_absent(owner, gallery)

    def _check_gallery(self, owner: str, gallery: str) -> None:
        kept = self.kept[owner, gallery]
        found, _ = self.store.subjects(owner, gallery, None, 10)
        assert {one.key for one in found} == set(kept)
        assert self.store.gallery(owner, gallery).faces == sum(map(len, kept.values()))
        for person in range(PEOPLE):
            options = SearchOptions(k=10, at_least=0.5)
            answer = self.store.search(owner, gallery, feature(person), CONTRACT, options)
            key = f"p{person}"
            assert [one.subject.key for one in answer.matches] == ([key] if key in kept else [])
            assert {one.face.uid for one in answer.matches} <= set(kept.get(key, ()))

    def _check_absent(self, owner: str, gallery: str) -> None:
        with pytest.raises(GalleryNotFoundError):
            self.store.search(owner, gallery, feature(0), CONTRACT, SearchOptions(k=1))
        for (_, name), kept in self.kept.items():
            for uid in (uid for faces in kept.values() for uid in faces if name == gallery):
                with pytest.raises(GalleryNotFoundError):
                    self.store.face_feature(owner, gallery, uid)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(step, min_size=5, max_size=30))
def test_a05_owners_never_meet_whatever_they_do(steps: list[tuple[str, str, str, int]]) -> None:
    with TemporaryDirectory() as directory:
        options = StoreOptions(segment_rows=64)
        service = GalleryService(GalleryStore(Path(directory) / "data", options))
        try:
            world = World(service)
            for one in steps:
                world.act(*one)
            world.check()
        finally:
            service.close()


def test_a07_a_cursor_and_an_idempotency_key_are_one_owners(open_gallery: Open) -> None:
    store = open_gallery()
    world = World(store)
    for owner in ("ada", "bob"):
        for person in range(3):
            world.act("enrol", owner, "x", person)
    world.check()  # the same idempotency keys, and everybody was enrolled
    _, cursor = store.subjects("ada", "x", None, 1)
    assert cursor is not None
    assert [one.key for one in store.subjects("ada", "x", cursor, 1)[0]] == ["p1"]
    with pytest.raises(CursorInvalidError):
        store.subjects("bob", "x", cursor, 1)


def test_a04_anothers_face_is_as_absent_as_any(open_gallery: Open) -> None:
    world = World(open_gallery())
    for owner in ("ada", "bob"):
        world.act("enrol", owner, "x", 0)
    [theirs] = world.kept["bob", "x"]["p0"]
    said = []
    for uid in (theirs, "0" * len(theirs)):
        with pytest.raises(EnrolledFaceNotFoundError) as raised:
            world.store.face_feature("ada", "x", uid)
        said.append(raised.value.message.replace(uid, ""))
    assert said[0] == said[1]
