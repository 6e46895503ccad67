"""Collectives over `torch.distributed` ranks; each is the identity in a single process.

A loss over gathered features is computed alike on every rank, so its gradient must be counted
once: `sum_ranks` passes the gradient through, `gather_features` adds what each rank's classes
contribute.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import FunctionCtx

Group = dist.ProcessGroup | None


def world_size(group: Group = None) -> int:
    return dist.get_world_size(group) if _distributed() else 1


def rank_of(group: Group = None) -> int:
    return dist.get_rank(group) if _distributed() else 0


def gather_rows(rows_N: Tensor, group: Group = None) -> Tensor:
    """Rows of all ranks, in rank order; without gradient. Every rank holds equally many."""
    ranks = world_size(group)
    if ranks == 1:
        return rows_N
    gathered = rows_N.new_empty((ranks * rows_N.shape[0], *rows_N.shape[1:]))
    dist.all_gather(list(gathered.chunk(ranks)), rows_N.detach().contiguous(), group=group)
    return gathered


def max_ranks(values: Tensor, group: Group = None) -> Tensor:
    """Element-wise maximum over ranks; without gradient."""
    values = values.detach()
    if world_size(group) > 1:
        values = values.clone()
        dist.all_reduce(values, dist.ReduceOp.MAX, group=group)
    return values


def sum_ranks(values: Tensor, group: Group = None) -> Tensor:
    """Element-wise sum over ranks. Each rank's term keeps the gradient of its own loss."""
    return values if world_size(group) == 1 else _SumRanks.apply(values, group)


def gather_features(features_BD: Tensor, group: Group = None) -> Tensor:
    """Features of all ranks in rank order, with gradients.

    Backward sums what every rank's classes ask of a feature and multiplies by the number of
    ranks, because DistributedDataParallel will divide the backbone's gradient by it.
    """
    return features_BD if world_size(group) == 1 else _GatherFeatures.apply(features_BD, group)


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


class _GroupCtx(FunctionCtx):
    group: Group


class _SumRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, group: Group) -> Tensor:
        total = values.clone()
        dist.all_reduce(total, dist.ReduceOp.SUM, group=group)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


class _GatherFeatures(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _GroupCtx, features_BD: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return gather_rows(features_BD, group)

    @staticmethod
    def backward(ctx: _GroupCtx, *grads: Tensor) -> tuple[Tensor, None]:
        total = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, dist.ReduceOp.SUM, group=ctx.group)
        ranks = world_size(ctx.group)
        return total.chunk(ranks)[rank_of(ctx.group)] * ranks, None
