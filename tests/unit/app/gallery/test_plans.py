"""How the database finds what a request asks for: never by reading through a gallery."""

import sqlite3
from collections.abc import Callable, Sequence
from types import ModuleType

import pytest

from app.gallery.enrolment import Enrolment
from app.gallery.rows import faces, galleries, subjects
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from tests.unit.app.gallery.conftest import CONTRACT, DIM, Open, vectors


def plans(connection: sqlite3.Connection, work: Callable[[], object]) -> list[str]:
    """The steps of every query that `work` makes."""
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    try:
        work()
    finally:
        connection.set_trace_callback(None)
    return [
        str(step[3]) for sql in asked for step in connection.execute("EXPLAIN QUERY PLAN " + sql)
    ]


@pytest.mark.parametrize("rows", [faces, subjects])
@pytest.mark.parametrize("ids", [[1], [3, 1, 2, 99]])
def test_what_a_search_found_is_read_by_its_ids(
    open_gallery: Open, rows: ModuleType, ids: Sequence[int]
) -> None:
    service = open_gallery()
    service.create_gallery("o", GallerySpec("g", CONTRACT, DIM))
    for n, feature in enumerate(vectors(5)):
        service.enrol(
            "o", "g", Enrolment(f"s{n}", [NewFace(feature)], CONTRACT, create=SubjectSpec())
        )
    with service.store.read() as connection:
        gallery = galleries.get(connection, "o", "g")
        assert sorted(rows.by_ids(connection, gallery, ids)) == [n for n in sorted(ids) if n < 99]
        steps = plans(connection, lambda: rows.by_ids(connection, gallery, ids))
    [search] = [
        step for step in steps if step.startswith(("SEARCH", "SCAN")) and "json" not in step
    ]
    assert search.endswith("USING INTEGER PRIMARY KEY (rowid=?)")
