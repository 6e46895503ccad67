"""From a config to the parts of a run."""

import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch

from models import backbones, losses
from models.data.batches import BatchOrder, Paired, Shuffled
from models.data.formats import open_sources
from models.data.samplers import PKSampler
from models.data.source import FaceSource, at_least, fingerprint, hold_out
from models.losses import MarginLoss, PartialFC
from models.train.config import BackboneConfig, DataConfig, LossConfig, TrainingConfig
from models.train.world import World


def open_training_data(data: DataConfig) -> tuple[FaceSource, FaceSource]:
    """The (training, held out) images that a config names; the latter may be empty."""
    source = at_least(open_sources(data.paths), data.min_images)
    return hold_out(source, data.hold_out)


def batch_order(config: TrainingConfig, source: FaceSource, world: World) -> BatchOrder:
    """Free shuffling, or P identities × K images where the recipe asks for pairs."""
    if config.batch_size % world.num_ranks:
        raise ValueError(
            f"batch_size={config.batch_size} cannot be shared equally by {world.num_ranks} ranks"
        )
    if config.data.per_identity == 0:
        return Shuffled(len(source.labels), config.batch_size, config.seed)
    return _paired(config, source, world)


def _paired(config: TrainingConfig, source: FaceSource, world: World) -> Paired:
    identities, rest = divmod(config.batch_size, config.data.per_identity)
    if rest or identities % world.num_ranks:
        raise ValueError(
            f"batch_size={config.batch_size} is not whole groups of data.per_identity="
            f"{config.data.per_identity} on each of {world.num_ranks} ranks"
        )
    sampler = PKSampler(
        source.labels.tolist(),
        classes_per_batch=identities,
        samples_per_class=config.data.per_identity,
        seed=config.seed,
    )
    return Paired(sampler)


def resolve_norm_head(backbone: BackboneConfig, loss: LossConfig) -> BackboneConfig:
    """Name the last normalisation where the recipe leaves it open: a pinned norm unless the loss
    gives the norm a meaning."""
    if "norm_head" in backbone.parameters:
        return backbone
    free = losses.entry(loss.name).kind.wants_free_norm
    norm_head = "free_bn" if free else "frozen_bn"
    return replace(backbone, parameters={**backbone.parameters, "norm_head": norm_head})


def build_backbone(config: BackboneConfig) -> backbones.Backbone:
    """The backbone that a resolved config names, untrained."""
    return backbones.build(config.name, config.dim, **config.parameters)


def build_loss(config: LossConfig, dim: int, num_classes: int) -> MarginLoss | PartialFC:
    """The loss, over sampled classes on all ranks where `partial_fc` is set."""
    arguments: dict[str, Any] = {"dim": dim, "num_classes": num_classes, **config.parameters}
    if config.partial_fc > 0:
        return PartialFC(config.name, rate=config.partial_fc, **arguments)
    return losses.build(config.name, **arguments)


def provenance(config: TrainingConfig, source: FaceSource) -> dict[str, Any]:
    """What a model card must say about where a model comes from."""
    return {
        "recipe": config.recipe,
        "data": {
            "name": config.data.name,
            "licence": config.data.licence,
            "images": len(source.labels),
            "identities": len(source.classes),
            "fingerprint": fingerprint(source),
        },
        "software": _software(),
    }


def _software() -> Mapping[str, str]:
    return {
        "norma": version("norma"),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
