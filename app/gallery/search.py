"""From a probe to subjects: filters, aggregates, and names instead of numbers."""

import sqlite3
import threading
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from app.gallery import aggregate as aggregates
from app.gallery.batcher import Found, SearchBatcher
from app.gallery.database import one_state
from app.gallery.index.codes import Queries
from app.gallery.index.engine import FEW, SearchEngine, Want
from app.gallery.index.projection import Projection
from app.gallery.index.rescore import Ranked
from app.gallery.rows import faces, galleries, subjects
from app.gallery.store import GalleryStore
from app.gallery.types import Aggregate, Filter, Gallery, Match, SearchAnswer
from app.telemetry.meters import SILENT, Meters

RERANKED = 50
"""Subjects by their nearest face among which `mean` and `norm_weighted` choose, at least."""

READING = 2
"""Searches whose answers are read from the database at once."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search."""

    k: int = 10
    aggregate: Aggregate = "max"
    filter: Filter = field(default_factory=Filter)
    at_least: float = -1.0
    """Similarity under which a subject is not answered."""
    fast: bool = False


class Searcher:
    """Searches one store. Thread-safe."""

    def __init__(
        self, store: GalleryStore, threads: int, bound: int, meters: Meters = SILENT
    ) -> None:
        self._store = store
        self._meters = meters
        self._engine = SearchEngine(threads, store.options.gpu)
        self._batcher = SearchBatcher(self._engine, bound)
        # Many threads that read at once take the interpreter from each other, and from the loop.
        self._turn = threading.Semaphore(READING)

    def close(self) -> None:
        self._batcher.close()
        self._engine.close()

    def search(
        self, gallery: Gallery, feature: NDArray[np.float32], options: SearchOptions
    ) -> SearchAnswer:
        """The best subjects, best first."""
        start = perf_counter()
        projection = self._store.projections.get(gallery)
        query = Queries.of(feature[None])
        wide = max(RERANKED, 5 * options.k)
        k = options.k if options.aggregate == "max" else wide
        found, fast = self._find(gallery, projection, query, k, options)
        with self._turn, self._store.read() as connection, one_state(connection):
            galleries.check_space(connection, gallery)
            scored, certain = self._scored(connection, gallery, query, found.ranked, options)
            matches = _named(connection, gallery, found.ranked, scored, options)
        self._meters.stage("search", start, perf_counter())
        nearest = found.ranked.similarities
        return SearchAnswer(
            matches,
            found.view.revision,
            found.view.faces,
            certain and not fast,
            top=float(nearest[0]) if len(nearest) else None,
        )

    def nearest(self, gallery: Gallery, feature: NDArray[np.float32], k: int) -> Found:
        """The best face of each of the best k subjects, by internal ids."""
        projection = self._store.projections.get(gallery)
        return self._batcher.search(projection, Queries.of(feature[None]), Want(k))

    def _find(
        self,
        gallery: Gallery,
        projection: Projection,
        query: Queries,
        k: int,
        options: SearchOptions,
    ) -> tuple[Found, bool]:
        """The best k subjects by nearest face, and whether by the fast tier."""
        wanted = options.filter
        if not wanted.tags and not wanted.metadata:
            want = Want(k, fast=options.fast)
            return self._batcher.search(projection, query, want), options.fast
        with self._store.read() as connection:
            allowed = subjects.matching(connection, gallery, wanted)
            few = faces.ids_of_subjects(connection, gallery, allowed[: FEW + 1])
        view = projection.view
        if len(allowed) <= FEW and len(few) <= FEW:
            ids = np.array(sorted(few), np.int64)
            ranked = self._engine.among(view, query, ids, by_subject=True).take(slice(k))
            return Found(ranked, view), False
        want = Want(k, subject_ids=np.array(allowed, np.int64))
        return self._batcher.search(projection, query, want, view), False

    def _scored(
        self,
        connection: sqlite3.Connection,
        gallery: Gallery,
        query: Queries,
        ranked: Ranked,
        options: SearchOptions,
    ) -> tuple[list[tuple[int, float]], bool]:
        """(place in `ranked`, similarity) by similarity, and whether no subject can be missed."""
        nearest = [float(s) for s in ranked.similarities]
        if options.aggregate == "max":
            return list(enumerate(nearest)), True
        feature_type = self._store.options.feature_type
        scored = []
        for place, subject_id in enumerate(ranked.subject_ids):
            blobs = faces.features(connection, gallery, int(subject_id))
            if not blobs:
                continue
            rows = np.frombuffer(b"".join(blobs), feature_type).reshape(len(blobs), -1)
            value = aggregates.similarity(query.unit[0], rows.astype(np.float64), options.aggregate)
            scored.append((place, value))
        scored.sort(key=lambda one: (-one[1], ranked.subject_ids[one[0]]))
        complete = len(nearest) < max(RERANKED, 5 * options.k)
        # A mean is at most the nearest face's similarity, so those left out are below the last.
        bounded = options.aggregate == "mean" and len(scored) >= options.k
        return scored, complete or (bounded and scored[options.k - 1][1] > nearest[-1])


def _named(
    connection: sqlite3.Connection,
    gallery: Gallery,
    ranked: Ranked,
    scored: list[tuple[int, float]],
    options: SearchOptions,
) -> tuple[Match, ...]:
    """With their rows; what has been erased since the search is left out."""
    best = [one for one in scored[: options.k] if one[1] >= options.at_least]
    subject_ids = [int(ranked.subject_ids[place]) for place, _ in best]
    face_ids = [int(ranked.face_ids[place]) for place, _ in best]
    who = subjects.by_ids(connection, gallery, subject_ids)
    which = faces.by_ids(connection, gallery, face_ids)
    return tuple(
        Match(who[subject_id], which[face_id], value)
        for subject_id, face_id, (_, value) in zip(subject_ids, face_ids, best, strict=True)
        if subject_id in who and face_id in which
    )
