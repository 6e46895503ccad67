"""Per-class tensors over ranks: who holds which rows, and how to bring them together or apart.

Works for class weights and for an optimizer's moments alike, so a run may resume with another
number of ranks.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from models.losses.collective import Group, world_size


def class_range(num_classes: int, rank: int, ranks: int) -> range:
    """The classes of a rank: contiguous, sizes differing by one at most."""
    return range(num_classes * rank // ranks, num_classes * (rank + 1) // ranks)


def take_classes(rows_C: Tensor, classes: range) -> Tensor:
    """The rows of the given classes, in storage of their own."""
    return rows_C[classes.start : classes.stop].clone()


def gather_classes(rows_K: Tensor, num_classes: int, group: Group = None) -> Tensor:
    """The rows of all classes, detached, on every rank; all ranks must call."""
    ranks = world_size(group)
    own = rows_K.detach()
    if ranks == 1:
        return own.clone()
    sizes = [len(class_range(num_classes, rank, ranks)) for rank in range(ranks)]
    padded = own.new_zeros((max(sizes), *own.shape[1:]))
    padded[: len(own)] = own
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded, group=group)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
