"""Small versions of every registered backbone, built alike each time."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from models.backbones import Backbone, build

Build = Callable[..., Backbone]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small() -> Build:
    """Builds a backbone an eighth as wide, always with the same weights."""

    def build_small(name: str, dim: int = 24, **parameters: object) -> Backbone:
        torch.manual_seed(7)
        return build(name, dim, width=0.125, **parameters)

    return build_small


@pytest.fixture
def crops() -> Tensor:
    """Four crops (4, 3, 112, 112) in [−1, 1]."""
    generator = torch.Generator().manual_seed(3)
    return torch.rand(4, 3, 112, 112, generator=generator) * 2 - 1
