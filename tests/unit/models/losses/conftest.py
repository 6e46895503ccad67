"""One thread, the golden vectors, and a batch over all angles."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.models.losses.batches import Batch, batch_at

ROOT = Path(__file__).parents[4]
GOLDEN = Path(os.environ.get("NORMA_GOLDEN", ROOT.parent / "shared" / "golden"))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Reads `losses_<name>.npz`; skips where the folder is not at hand."""

    def read(name: str) -> dict[str, np.ndarray]:
        path = GOLDEN / f"losses_{name}.npz"
        if not path.exists():
            pytest.skip(f"golden vectors not found: {path} (set NORMA_GOLDEN)")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    return read


@pytest.fixture
def batch() -> Batch:
    """Twenty rows over all angles, both sides of 90° and of π − m, norms 4 to 130."""
    return batch_at(np.linspace(2.0, 178.0, 20), norms=np.linspace(130.0, 4.0, 20))
