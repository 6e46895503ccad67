"""Partial FC: a softmax-family loss over a sample of the classes, and over many ranks.

An, Zhu et al., "Partial FC: Training 10 Million Identities on a Single Machine", ICCVW 2021,
arXiv:2010.05222, and "Killing Two Birds with One Stone", CVPR 2022, arXiv:2203.15565.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.losses.base import LossOutput, MarginLoss, Scores
from models.losses.collective import (
    Group,
    gather_features,
    gather_rows,
    max_ranks,
    rank_of,
    sum_ranks,
    world_size,
)
from models.losses.geometry import take_targets
from models.losses.registry import Parameter, build
from models.losses.shards import class_range, gather_classes, take_classes


class PartialFC(nn.Module):
    """`forward(features_BD, labels_B)` like any loss, with labels in [0, num_classes).

    Each rank holds an equal range of the classes and sees the features of all ranks, so ranks
    must bring equally many (`drop_last`). A training step uses every class that the batch names
    and random others, up to `rate` of the range; evaluation uses all. Rows that were not drawn
    get a zero gradient (momentum and weight decay still move them). With rate 1 this is the plain
    loss, computed across ranks.

    The result's `loss` is the mean over the batch of all ranks and the same on each; its `logits`
    are (B of all ranks, classes drawn here) and `per_sample` has a row for each of all ranks.

    Keep this module out of DistributedDataParallel: its gradients are already complete. The
    gradient that features receive is multiplied by the number of ranks, which DDP divides out.
    """

    def __init__(
        self,
        name: str,
        *,
        dim: int,
        num_classes: int,
        rate: float = 1.0,
        group: Group = None,
        **parameters: Parameter,
    ) -> None:
        super().__init__()
        ranks, rank = world_size(group), rank_of(group)
        if not 0.0 < rate <= 1.0:
            raise ValueError(f"rate is a fraction of the classes, in (0, 1]; got {rate}")
        if num_classes < ranks:
            raise ValueError(f"{num_classes} classes cannot be spread over {ranks} ranks")
        self.num_classes, self.rate, self.group = num_classes, rate, group
        self.range = class_range(num_classes, rank, ranks)
        self.loss = build(name, dim=dim, num_classes=len(self.range), **parameters)
        if not self.loss.samples_classes:
            raise ValueError(f"{name} is not a softmax over classes; Partial FC cannot sample it")
        _draw_apart(self.loss, self.range)

    @property
    def weight(self) -> Tensor:
        """The class weights of this rank's range."""
        return self.loss.weight

    @property
    def wants_free_norm(self) -> bool:
        return self.loss.wants_free_norm

    def forward(self, features_BD: Tensor, labels_B: Tensor) -> LossOutput:
        with torch.autocast(features_BD.device.type, enabled=False):
            labels_B = gather_rows(labels_B.long(), self.group)
            classes_K = self._draw(labels_B)
            local_B = self._localise(labels_B, classes_K)
            own_BD = features_BD.to(torch.promote_types(features_BD.dtype, torch.float32))
            scores = self._score(gather_features(own_BD, self.group), local_B, classes_K)
            self.loss.note(scores, pooled=True)
            logits_BK = self.loss.logits(scores)
            entropy_B = self._cross_entropy(logits_BK, local_B)
            penalty_B = self.loss.penalty(scores.norms).detach()
            mean = entropy_B.mean() + self._penalty_once(own_BD, penalty_B.mean())
            return LossOutput(mean, logits_BK, entropy_B + penalty_B)

    def statistics(self) -> dict[str, float]:
        """The loss's own, over the batch of all ranks."""
        return self.loss.statistics()

    def full_state(self) -> dict[str, Tensor]:
        """The state as the unsharded loss would hold it, on every rank; all ranks must call."""
        return {
            name: gather_classes(value, self.num_classes, self.group)
            if name in self.loss.per_class
            else value
            for name, value in self.loss.state_dict().items()
        }

    def load_full_state(self, state: Mapping[str, Tensor]) -> None:
        """Take this rank's part of what `full_state`, or an unsharded loss, gave."""
        own = {
            name: take_classes(value, self.range) if name in self.loss.per_class else value
            for name, value in state.items()
        }
        self.loss.load_state_dict(own)

    def _draw(self, labels_B: Tensor) -> Tensor | None:
        """The classes of the range to use, ascending; None for all.

        Draws from the device's own generator, so resuming that resumes the sampling.
        """
        if self.rate == 1.0 or not self.training:
            return None
        named = labels_B[(labels_B >= self.range.start) & (labels_B < self.range.stop)]
        named = (named - self.range.start).unique()
        count = max(len(named), int(self.rate * len(self.range)), 1)
        order_K = torch.rand(len(self.range), device=labels_B.device)
        order_K[named] = 2.0
        return order_K.topk(count).indices.sort().values

    def _localise(self, labels_B: Tensor, classes_K: Tensor | None) -> Tensor:
        """Labels as columns of the drawn classes; −1 where another rank holds the class."""
        here_B = (labels_B >= self.range.start) & (labels_B < self.range.stop)
        local_B = labels_B - self.range.start
        if classes_K is not None:
            local_B = torch.searchsorted(classes_K, local_B)
        return torch.where(here_B, local_B, -1)

    def _score(self, features_BD: Tensor, local_B: Tensor, classes_K: Tensor | None) -> Scores:
        scores = self.loss.score(features_BD, local_B, classes_K)
        return scores.with_targets(self._across(scores.targets, local_B))

    def _across(self, targets_B: Tensor, local_B: Tensor) -> Tensor:
        """Each row's target value, from the rank that holds its class."""
        return sum_ranks(torch.where(local_B >= 0, targets_B, 0.0), self.group)

    def _cross_entropy(self, logits_BK: Tensor, local_B: Tensor) -> Tensor:
        peak_B = max_ranks(logits_BK.amax(1), self.group)
        total_B = sum_ranks((logits_BK - peak_B[:, None]).exp().sum(1), self.group)
        targets_B = self._across(take_targets(logits_BK, local_B), local_B)
        return total_B.log() + peak_B - targets_B

    def _penalty_once(self, own_BD: Tensor, mean_everywhere: Tensor) -> Tensor:
        """The mean penalty of all ranks, with the gradient of this rank's own rows alone.

        Through the gathered features every rank would count it again.
        """
        own = self.loss.penalty(torch.linalg.vector_norm(own_BD, dim=1)).mean()
        return own + (mean_everywhere - own).detach()


def _draw_apart(loss: MarginLoss, classes: range) -> None:
    """Ranks are often seeded alike; their classes must not start alike."""
    if classes.start == 0:
        return
    generator = torch.Generator().manual_seed(torch.initial_seed() + classes.start)
    nn.init.normal_(loss.weight, std=0.01, generator=generator)
