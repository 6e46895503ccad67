"""A gallery on a temporary directory, with small segments so that sealing is ordinary."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import NormaError
from app.gallery.health.examiner import HealthPlan
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions

DIM = 32
CONTRACT = "test-contract"

Open = Callable[..., GalleryService]


def vectors(count: int, seed: int = 0, dim: int = DIM) -> NDArray[np.float32]:
    """Raw features of random directions and lengths."""
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(5, 30, (count, 1))
    rows = rng.standard_normal((count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True) * lengths).astype(np.float32)


@pytest.fixture
def open_gallery(tmp_path: Path) -> Iterator[Open]:
    """Opens the same directory, again after a close; what is left open is closed in the end."""
    opened: list[GalleryService] = []

    def opening(
        path: Path = tmp_path / "data", plan: HealthPlan | None = None, **options: object
    ) -> GalleryService:
        chosen = StoreOptions(**{"segment_rows": 64, **options})  # type: ignore[arg-type]
        service = GalleryService(GalleryStore(path, chosen), plan=plan)
        opened.append(service)
        return service

    yield opening
    for service in opened:
        with suppress(NormaError, ValueError, sqlite3.Error):
            service.close()
