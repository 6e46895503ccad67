"""The GPU's part in exact search, played by a processor that rounds as a GPU does."""

from collections.abc import Callable

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import StartError
from app.gallery.index.codes import Queries
from app.gallery.index.engine import SearchEngine, Want
from app.gallery.index.fast import unit_vectors
from app.gallery.index.gpu import Copy, GpuShelf, copier
from app.gallery.index.projection import Projection
from app.gallery.index.rescore import Ranked

DIM, ROWS, SEALED = 64, 2700, 512


class Standin:
    """Half precision in, half precision asked; counts its searches."""

    def __init__(self) -> None:
        self.searches = 0
        self.broken = False

    def copy(self, unit_ND: NDArray[np.float32]) -> faiss.Index:
        index = faiss.IndexFlatIP(unit_ND.shape[1])
        index.add(_halved(unit_ND))
        search: Callable[..., object] = index.search

        def asked(probes: NDArray[np.float32], k: int) -> object:
            if self.broken:
                raise RuntimeError("CUDA error 700")
            self.searches += 1
            return search(_halved(probes), k)

        index.search = asked
        return index


def _halved(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows.astype(np.float16).astype(np.float32)


@pytest.fixture
def faces() -> NDArray[np.float32]:
    rng = np.random.default_rng(5)
    centres = np.repeat(rng.standard_normal((ROWS // 5, DIM)), 5, axis=0)
    return (centres + 0.8 * rng.standard_normal((ROWS, DIM))).astype(np.float32)


@pytest.fixture
def projection(faces: NDArray[np.float32]) -> Projection:
    return enrolled(faces, "float16")


def enrolled(faces: NDArray[np.float32], kind: str) -> Projection:
    made = Projection(DIM, kind, segment_rows=SEALED)
    ids = np.arange(1, ROWS + 1)
    for start in range(0, ROWS, 100):
        cut = slice(start, start + 100)
        made.add(start + 1, ids[cut], ids[cut] // 5, faces[cut].astype(kind))
    return made


def shelved(projection: Projection, copy: Copy) -> GpuShelf:
    shelf = GpuShelf(copy)
    for part in projection.view.parts:
        if part.segment.full:
            shelf.take(part.segment, unit_vectors(part.segment))
    return shelf


def search(
    projection: Projection, gpu: GpuShelf | None, probes: NDArray[np.float32], k: int = 10
) -> list[Ranked]:
    engine = SearchEngine(2, gpu)
    try:
        return engine.search(projection.view, Queries.of(probes), [Want(k)] * len(probes))
    finally:
        engine.close()


def assert_same(found: list[Ranked], expected: list[Ranked]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.face_ids, other.face_ids)
        np.testing.assert_array_equal(one.similarities, other.similarities)


@pytest.mark.parametrize("probes", [1, 9])
def test_a_gpu_answers_what_the_processor_does(
    projection: Projection, faces: NDArray[np.float32], probes: int
) -> None:
    standin = Standin()
    asked = faces[100 : 100 + probes] + 0.3
    found = search(projection, shelved(projection, standin.copy), asked)
    assert_same(found, search(projection, None, asked))
    assert standin.searches == ROWS // SEALED


def test_what_half_precision_cannot_tell_apart_is_looked_at_again() -> None:
    rng = np.random.default_rng(6)
    faces = (np.ones((ROWS, DIM)) + 1e-4 * rng.standard_normal((ROWS, DIM))).astype(np.float32)
    projection, standin = enrolled(faces, "float32"), Standin()
    probes = (1 + rng.standard_normal((3, DIM))).astype(np.float32)
    found = search(projection, shelved(projection, standin.copy), probes)
    assert standin.searches
    assert_same(found, search(projection, None, probes))


def test_the_erased_are_not_found(projection: Projection, faces: NDArray[np.float32]) -> None:
    standin = Standin()
    shelf = shelved(projection, standin.copy)
    [before] = search(projection, shelf, faces[7:8])
    projection.remove(ROWS + 1, np.sort(before.face_ids[:3]))
    assert_same(search(projection, shelf, faces[7:8]), search(projection, None, faces[7:8]))
    assert standin.searches > ROWS // SEALED
    assert not set(before.face_ids[:3]) & set(search(projection, shelf, faces[7:8])[0].face_ids)


def test_an_older_view_does_not_see_the_rows_since(
    projection: Projection, faces: NDArray[np.float32]
) -> None:
    old = projection.view
    more = np.arange(ROWS + 1, ROWS + 601)
    projection.add(ROWS + 1, more, more, np.repeat(faces[:1], 600, axis=0).astype(np.float16))
    shelf = shelved(projection, Standin().copy)
    engine = SearchEngine(2, shelf)
    [found] = engine.search(old, Queries.of(faces[:1]), [Want(10, by_subject=False)])
    engine.close()
    assert found.face_ids.max() <= ROWS


def test_where_the_gpu_fails_the_processor_answers(
    projection: Projection, faces: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    standin = Standin()
    shelf = shelved(projection, standin.copy)
    standin.broken = True
    assert_same(search(projection, shelf, faces[:3]), search(projection, None, faces[:3]))
    assert "the GPU failed" in caplog.text
    standin.broken = False
    search(projection, shelf, faces[:1])
    assert standin.searches == 0  # it is not asked again


def test_a_full_gpu_keeps_what_it_has(
    projection: Projection, faces: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    standin, taken = Standin(), []

    def copy(unit_ND: NDArray[np.float32]) -> faiss.Index:
        if len(taken) == 2:
            raise RuntimeError("out of memory")
        taken.append(1)
        return standin.copy(unit_ND)

    shelf = shelved(projection, copy)
    assert_same(search(projection, shelf, faces[:2]), search(projection, None, faces[:2]))
    assert standin.searches == 2
    assert caplog.text.count("takes no more") == 1


def test_forgotten_segments_leave_the_gpu(faces: NDArray[np.float32]) -> None:
    made = Projection(DIM, "float16", segment_rows=SEALED)
    ids = np.arange(1, SEALED + 1)
    made.add(1, ids, ids, faces[:SEALED].astype(np.float16))
    shelf = shelved(made, Standin().copy)
    assert len(shelf) == 1
    del made
    assert len(shelf) == 0


def test_a_gpu_that_is_not_there_refuses_the_start() -> None:
    with pytest.raises(StartError, match="NORMA_GALLERY_GPU=63: FAISS sees"):
        copier(63)
