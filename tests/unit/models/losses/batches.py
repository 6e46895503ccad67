"""Batches whose angles to their class weights are chosen."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.losses import MarginLoss


@dataclass(frozen=True, slots=True)
class Batch:
    """Features at chosen angles from their class weight."""

    features: Tensor
    weight: Tensor
    labels: Tensor
    angles: np.ndarray

    def place(self, loss: MarginLoss) -> MarginLoss:
        """The loss with this batch's class weights and precision."""
        loss = loss.to(self.weight.dtype)
        with torch.no_grad():
            loss.weight.copy_(self.weight)
        return loss


def batch_at(
    degrees: np.ndarray,
    *,
    num_classes: int = 5,
    dim: int = 8,
    norms: np.ndarray | float = 20.0,
    seed: int = 0,
) -> Batch:
    """One row per angle (degrees), at the given lengths; float64."""
    rng = np.random.default_rng(seed)
    angles = np.deg2rad(np.asarray(degrees, dtype=np.float64))
    weight = rng.normal(size=(num_classes, dim))
    labels = np.arange(len(angles)) % num_classes
    towards = weight[labels] / np.linalg.norm(weight[labels], axis=1, keepdims=True)
    aside = rng.normal(size=towards.shape)
    aside -= (aside * towards).sum(1, keepdims=True) * towards
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    unit = np.cos(angles)[:, None] * towards + np.sin(angles)[:, None] * aside
    features = unit * np.broadcast_to(norms, len(angles))[:, None]
    return Batch(
        torch.from_numpy(features),
        torch.from_numpy(weight),
        torch.from_numpy(labels),
        angles,
    )
