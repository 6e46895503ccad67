"""The ranks of a run: one process without torchrun, as many as it starts with it."""

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from models.train.config import SystemConfig


@dataclass(frozen=True, slots=True)
class World:
    """This process among the others."""

    rank: int
    num_ranks: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes and reports."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over ranks, of values that each rank has its own of."""
        if self.num_ranks > 1:
            distributed.all_reduce(values)
            values /= self.num_ranks
        return values

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over ranks: the loss's, which is outside DDP."""
        for parameter in parameters:
            if parameter.grad is not None:
                self.mean(parameter.grad)

    def wait(self) -> None:
        """Until every rank has come here."""
        if self.num_ranks > 1:
            distributed.barrier()


@contextmanager
def join_world(system: SystemConfig) -> Iterator[World]:
    """The world that torchrun's environment describes, or a world of one.

    Raises ValueError when CUDA was asked for and is not there.
    """
    num_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    device = _device(system.device, int(os.environ.get("LOCAL_RANK", "0")))
    if num_ranks == 1:
        yield World(0, 1, device)
        return
    if device.type == "cuda":
        distributed.init_process_group("nccl", device_id=device)
    else:
        distributed.init_process_group("gloo")
    try:
        yield World(distributed.get_rank(), num_ranks, device)
    finally:
        distributed.destroy_process_group()
        # Gloo's threads die with the last reference to their group. One that reference cycles keep
        # until the interpreter goes takes it down with it (PyTorch pull request 179291).
        gc.collect()


def _device(wanted: str, local_rank: int) -> torch.device:
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError("system.device=cuda, but this PyTorch sees no CUDA device")
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device
