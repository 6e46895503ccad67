"""The one base of every loss: score, observe, apply the margin, reduce.

B batch, D embedding dimension, C classes, K classes at hand (all, or those that Partial FC chose).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.losses.collective import gather_rows
from models.losses.geometry import cosines, take_targets


@dataclass(frozen=True, slots=True)
class LossOutput:
    """What a training step needs from a loss.

    `loss` is the scalar to minimise (nats), `logits` (B, C) follow margin and scale (so their
    argmax is a pessimistic training accuracy), `per_sample` (B,) averages to `loss`.
    """

    loss: Tensor
    logits: Tensor
    per_sample: Tensor


@dataclass(frozen=True, slots=True)
class Scores:
    """A batch before the margin.

    `features` (B, D), `weight` (K, D) and `norms` (B,) are raw. `values` (B, K) are what the
    margin acts on: cosines, or inner products where lengths count. `labels` (B,) index the K
    classes, −1 where the class is not at hand; `targets` (B,) are the values at the labels, known
    for every row.
    """

    features: Tensor
    weight: Tensor
    labels: Tensor
    values: Tensor
    norms: Tensor
    targets: Tensor

    def with_targets(self, targets_B: Tensor) -> "Scores":
        return replace(self, targets=targets_B)


@dataclass(frozen=True, slots=True)
class Observation:
    """What the last batch looked like, for `statistics`; (B,) each, detached."""

    norms: Tensor
    targets: Tensor


class MarginLoss(nn.Module, ABC):
    """Class weights and a margin: `forward(features_BD, labels_B)` gives a `LossOutput`.

    Features are raw embeddings in any float type, labels are integers in [0, C). The arithmetic
    runs in float32 at least, also under autocast: half precision rounds cos 2° to 1.

    State that training moves (counters, running means) lives in buffers and moves only in
    training mode, so a `state_dict` round trip resumes exactly.
    """

    wants_free_norm: ClassVar[bool] = False
    """Whether length carries meaning, so that the backbone's last BN must not pin it."""

    samples_classes: ClassVar[bool] = True
    """Whether the loss is a softmax over classes, so that Partial FC may sample and shard them."""

    pools_ranks: ClassVar[bool] = False
    """Whether `observe` needs the batch of all ranks (equally large) rather than this one's."""

    per_class: ClassVar[tuple[str, ...]] = ("weight",)
    """The parameters with one row per class."""

    def __init__(self, *, dim: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, dim))
        nn.init.normal_(self.weight, std=0.01)
        self._seen: Observation | None = None

    def forward(self, features_BD: Tensor, labels_B: Tensor) -> LossOutput:
        with torch.autocast(features_BD.device.type, enabled=False):
            scores = self.score(features_BD, labels_B.long())
            self.note(scores)
            logits_BC = self.logits(scores)
            per_sample_B = self.per_sample(scores, logits_BC) + self.penalty(scores.norms)
            return LossOutput(self.mean(scores, per_sample_B), logits_BC, per_sample_B)

    def score(
        self, features_BD: Tensor, labels_B: Tensor, classes_K: Tensor | None = None
    ) -> Scores:
        """The batch against the given classes (all by default), in full precision."""
        dtype = torch.promote_types(features_BD.dtype, self.weight.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        features_BD = features_BD.to(dtype)
        weight_KD = chosen(self.weight, classes_K).to(dtype)
        values_BK = self.similarity(features_BD, weight_KD, classes_K)
        return Scores(
            features=features_BD,
            weight=weight_KD,
            labels=labels_B,
            values=values_BK,
            norms=torch.linalg.vector_norm(features_BD, dim=1),
            targets=take_targets(values_BK, labels_B),
        )

    def note(self, scores: Scores, *, pooled: bool = False) -> None:
        """Remember the batch for `statistics` and, in training, move the state.

        `pooled` says that the scores already span all ranks.
        """
        norms_B, targets_B = scores.norms.detach(), scores.targets.detach()
        self._seen = Observation(norms_B, targets_B)
        if not self.training:
            return
        if self.pools_ranks and not pooled:
            norms_B, targets_B = gather_rows(norms_B), gather_rows(targets_B)
        self.observe(norms_B, targets_B)

    def similarity(
        self, features_BD: Tensor, weight_KD: Tensor, classes_K: Tensor | None
    ) -> Tensor:
        """What the margin acts on, (B, K); cosines unless a loss says otherwise."""
        return cosines(features_BD, weight_KD)

    def observe(self, norms_B: Tensor, targets_B: Tensor) -> None:
        """Move the state by one training batch, before the margin is applied."""

    @abstractmethod
    def logits(self, scores: Scores) -> Tensor:
        """Logits (B, K) after margin and scale."""

    def per_sample(self, scores: Scores, logits_BK: Tensor) -> Tensor:
        """Loss of each row (B,), without the penalty; softmax cross-entropy by default."""
        return F.cross_entropy(logits_BK, scores.labels, reduction="none")

    def penalty(self, norms_B: Tensor) -> Tensor:
        """What each row pays for its length (B,)."""
        return torch.zeros_like(norms_B)

    def mean(self, scores: Scores, per_sample_B: Tensor) -> Tensor:
        return per_sample_B.mean()

    def statistics(self) -> dict[str, float]:
        """Figures of the last batch and of the state, for the log. Waits for the device."""
        if self._seen is None:
            return {}
        norms_B = self._seen.norms
        return {
            "norm_mean": norms_B.mean().item(),
            "norm_std": norms_B.std(correction=0).item(),
            "target_score_mean": self._seen.targets.mean().item(),
        }


def chosen(rows_C: Tensor, classes_K: Tensor | None) -> Tensor:
    """The given rows of a per-class parameter, or all of them."""
    return rows_C if classes_K is None else rows_C.index_select(0, classes_K)
