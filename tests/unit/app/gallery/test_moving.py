"""A gallery moved to another recogniser: in one step, back again, in the end without a trace."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import (
    BusyError,
    ContractMismatchError,
    InputError,
    MoveNotFoundError,
    MoveUnfinishedError,
    VaultUnencryptedError,
)
from app.gallery import moving
from app.gallery.enrolment import Enrolment
from app.gallery.erase_check import holding
from app.gallery.policy import Policy
from app.gallery.rows import moves
from app.gallery.rows.moves import Other
from app.gallery.search import SearchOptions
from app.gallery.service import GalleryService
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from app.security.keysource import KeyFile
from tests.unit.app.gallery.conftest import CONTRACT, DIM, Open, vectors

NEXT, NEXT_DIM = "next-contract", 48
SPEC = GallerySpec(
    "people", CONTRACT, DIM, conflict="off", identify=True, policy=Policy(vault=True)
)
OLD, NEW = vectors(100), vectors(100, seed=1, dim=NEXT_DIM)
COUNT = 80
"""More than fit into one sealed segment."""


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "master.key")


@pytest.fixture
def service(open_gallery: Open, key: KeyFile) -> Iterator[GalleryService]:
    service = open_gallery(keys=key)
    service.create_gallery("me", SPEC)
    for n in range(COUNT):
        enrol(service, n)
    yield service
    with suppress(ValueError, sqlite3.Error):
        service.close()


def enrol(service: GalleryService, n: int, contract: str = CONTRACT) -> None:
    row = OLD[n] if contract == CONTRACT else NEW[n]
    face = NewFace(row, float(n), keepsake=b"%d" % n)
    enrolment = Enrolment(f"s{n:03}", [face], contract, create=SubjectSpec(name=f"Name {n}"))
    service.enrol("me", "people", enrolment)


def computed(service: GalleryService, rows: NDArray[np.float32], limit: int = 1000) -> None:
    """What a job would do: features on the other side, from the keepsakes."""
    with service.store.read() as connection:
        gallery = service.gallery("me", "people")
        move = moves.get(connection, gallery)
        waiting = moves.waiting(connection, gallery, kept=True, limit=limit)
    found = [
        Other(
            one.id,
            float(np.linalg.norm(rows[int(one.subject[1:])])),
            50.0,
            rows[int(one.subject[1:])].astype("float16").tobytes(),
        )
        for one in waiting
    ]
    service.store.write(lambda t: moving.put(t, gallery, move, found))


def begin(service: GalleryService, contract: str = NEXT, dim: int = NEXT_DIM) -> None:
    service.store.write(lambda t: moving.begin(t, "me", "people", contract, dim))


def cut_over(service: GalleryService, *, back: bool = False) -> None:
    service.mover.cut_over("me", "people", back=back)


def finish(service: GalleryService) -> None:
    gallery = service.gallery("me", "people")
    while service.store.write(partial(moving.erase_other_side, gallery=gallery)):
        pass
    service.store.keeper.purge().result()


def best(service: GalleryService, probe: NDArray[np.float32], contract: str) -> str:
    for aggregate in ("max", "mean"):
        options = SearchOptions(k=1, aggregate=aggregate)  # type: ignore[arg-type]
        answer = service.search("me", "people", probe, contract, options)
        assert answer.matches[0].similarity > 0.999
    return answer.matches[0].subject.key


@pytest.fixture
def moved(service: GalleryService) -> GalleryService:
    begin(service)
    computed(service, NEW)
    cut_over(service)
    return service


def test_cut_over_the_gallery_is_asked_in_the_new_space(moved: GalleryService) -> None:
    assert [best(moved, NEW[n], NEXT) for n in (0, 70, 79)] == ["s000", "s070", "s079"]
    with pytest.raises(ContractMismatchError):
        best(moved, OLD[0], CONTRACT)
    gallery = moved.gallery("me", "people")
    assert (gallery.spec.contract_id, gallery.spec.dim) == (NEXT, NEXT_DIM)
    [face] = moved.faces("me", "people", "s003")
    assert face.quality == 50.0
    assert moved.subject("me", "people", "s003").spec.name == "Name 3"
    enrol(moved, 90, NEXT)
    assert best(moved, NEW[90], NEXT) == "s090"


def test_after_a_restart_it_is_still_there(
    moved: GalleryService, open_gallery: Open, key: KeyFile
) -> None:
    moved.store.keeper.purge().result()
    moved.close()
    key.write(key.keys(None).rotated())
    again = open_gallery(keys=key)
    assert best(again, NEW[70], NEXT) == "s070"
    assert again.subject("me", "people", "s003").spec.name == "Name 3"


def test_rolled_back_everything_is_as_before(moved: GalleryService) -> None:
    enrol(moved, 90, NEXT)
    with pytest.raises(MoveUnfinishedError, match="1 faces have no feature"):
        cut_over(moved, back=True)
    computed(moved, OLD)
    cut_over(moved, back=True)
    assert [best(moved, OLD[n], CONTRACT) for n in (0, 70, 90)] == ["s000", "s070", "s090"]
    [face] = moved.faces("me", "people", "s003")
    assert face.quality == 3.0
    with pytest.raises(MoveUnfinishedError):
        cut_over(moved, back=True)
    cut_over(moved)
    assert best(moved, NEW[90], NEXT) == "s090"


def test_before_the_cut_over_nothing_has_changed(service: GalleryService) -> None:
    begin(service)
    computed(service, NEW)
    assert best(service, OLD[70], CONTRACT) == "s070"
    finish(service)
    assert best(service, OLD[70], CONTRACT) == "s070"
    with pytest.raises(MoveNotFoundError):
        cut_over(service)


def test_a_face_without_a_feature_holds_up_the_cut_over(service: GalleryService) -> None:
    begin(service)
    computed(service, NEW, limit=COUNT - 1)
    with pytest.raises(MoveUnfinishedError) as refused:
        cut_over(service)
    assert refused.value.details == {"waiting": 1, "without_picture": 0}
    service.change_gallery("me", "people", lambda g: replace(g.spec, policy=Policy()))
    service.store.keeper.purge().result()
    with pytest.raises(MoveUnfinishedError) as refused:
        cut_over(service)
    assert refused.value.details == {"waiting": 1, "without_picture": 1}
    service.erase_subject("me", "people", "s079")
    cut_over(service)
    assert best(service, NEW[70], NEXT) == "s070"


def test_finished_no_file_holds_the_other_side(moved: GalleryService) -> None:
    with moved.store.read() as connection:
        rows = connection.execute("SELECT feature FROM other_features").fetchall()
    left = [row[0] for row in rows]
    assert len(left) == COUNT
    finish(moved)
    assert holding(moved.store.directory, left) == []
    assert best(moved, NEW[70], NEXT) == "s070"
    with pytest.raises(MoveNotFoundError):
        cut_over(moved, back=True)


def test_the_old_index_leaves_the_disk(service: GalleryService) -> None:
    service.erase_subject("me", "people", "s001")
    before = set(service.store.directory.glob("index/*/*.segment"))
    assert before, "else there is nothing to look at"
    begin(service)
    computed(service, NEW)
    cut_over(service)
    service.store.projections.take_sealed()  # as a round of housekeeping that then failed
    finish(service)
    assert before.isdisjoint(service.store.directory.glob("index/*/*.segment"))


def test_erased_in_between_is_erased_on_both_sides(service: GalleryService) -> None:
    begin(service)
    computed(service, NEW)
    service.erase_subject("me", "people", "s010")
    cut_over(service)
    cut_over(service, back=True)
    cut_over(service)
    answer = service.search("me", "people", NEW[10], NEXT, SearchOptions(k=1))
    assert answer.matches[0].similarity < 0.999
    assert service.gallery("me", "people").faces == COUNT - 1


def test_a_search_prepared_before_the_cut_over_is_not_answered_after_it(
    service: GalleryService,
) -> None:
    begin(service)
    computed(service, NEW)
    stale = service.gallery("me", "people")
    cut_over(service)
    with pytest.raises(BusyError):
        service._searcher.search(stale, OLD[0], SearchOptions())
    late = Enrolment("late", [NewFace(OLD[99])], CONTRACT, create=SubjectSpec())
    with pytest.raises(ContractMismatchError):
        service.store.write(lambda t: service._enroller._add(t, stale, late, [], None))


def test_what_cannot_be_moved_is_refused(
    service: GalleryService, open_gallery: Open, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="already"):
        begin(service, CONTRACT, DIM)
    begin(service)
    begin(service)
    with pytest.raises(MoveUnfinishedError, match=NEXT):
        begin(service, "a third", 16)
    plain = open_gallery(tmp_path / "plain")
    plain.create_gallery("me", replace(SPEC, policy=Policy()))
    with pytest.raises(VaultUnencryptedError):
        begin(plain)


def test_erasing_the_gallery_erases_the_move(service: GalleryService) -> None:
    begin(service)
    computed(service, NEW)
    assert service.erase_gallery("me", "people").purged
    with service.store.read() as connection:
        counted = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in ("moves", "other_features", "vault", "vault_keys")
        ]
    assert counted == [0, 0, 0, 0]
