"""One run: the trainer's own learner, without its checkpoints and journal, for half a minute."""

import warnings
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.losses.images import SIDE, VIEWS, TrainingImages
from benchmarks.losses.runs import Run
from models import losses
from models.backbones import Backbone
from models.backbones.base import NormHead, scaled
from models.backbones.iresnet import IResNet
from models.backbones.layers import conv_norm, initialise
from models.backbones.output import dense_output
from models.data.batches import BatchOrder, FaceBatch, Paired, Shuffled
from models.data.decode import Pixels
from models.data.samplers import PKSampler
from models.losses import MarginLoss
from models.losses.magface import EquilibriumWarning
from models.train.build import resolve_norm_head
from models.train.config import (
    BackboneConfig,
    LossConfig,
    OptimiserConfig,
    ScheduleConfig,
    SystemConfig,
    TrainingConfig,
)
from models.train.learner import Learner, to_input
from models.train.schedule import Schedule
from models.train.world import World

DIM = 256
WIDTH = 0.25
DEPTHS = (1, 1, 1, 1)
BATCH = 64
PER_IDENTITY = 4
OPTIMISER = OptimiserConfig(kind="adamw", lr=2e-3, weight_decay=0.05, decay_vectors=False)
Features = NDArray[np.float32]


def train(run: Run, images: TrainingImages) -> Learner:
    """The trained learner; its loss knows the last batch's statistics."""
    learner = build_learner(run, images.classes)
    for batch in batches(run, images):
        learner.train_step(batch)
    return learner


def build_learner(run: Run, classes: int) -> Learner:
    torch.manual_seed(run.seed)
    config = describe(run)
    backbone = small_backbone(cast(NormHead, config.backbone.parameters["norm_head"]))
    schedule = Schedule(config.schedule, steps_per_epoch=run.steps)
    world = World(0, 1, torch.device("cpu"))
    return Learner(config, backbone, build_loss(run, classes), schedule, world)


def describe(run: Run) -> TrainingConfig:
    loss = LossConfig(name=run.loss)
    given = {"norm_head": run.norm_head} if run.norm_head else {}
    backbone = resolve_norm_head(BackboneConfig(name="small", dim=DIM, parameters=given), loss)
    return TrainingConfig(
        recipe="losses_study",
        run="",
        backbone=backbone,
        loss=loss,
        optimiser=OPTIMISER,
        schedule=ScheduleConfig(steps=run.steps, warmup=0.05, shape="cosine"),
        system=SystemConfig(device="cpu", workers=0),
        batch_size=BATCH,
        seed=run.seed,
    )


def small_backbone(norm_head: NormHead) -> Backbone:
    """IResNet's blocks, one per stage, a quarter as wide, behind a stem that halves the image."""
    output = dense_output(scaled(512, WIDTH), -(-SIDE // 32), DIM, norm_head=norm_head)
    network = IResNet(DIM, DEPTHS, WIDTH, output)
    channels = scaled(64, WIDTH)
    network.stem = conv_norm(3, channels, 3, stride=2, activation=nn.PReLU(channels))
    initialise(network.stem)
    return network


def build_loss(run: Run, classes: int) -> MarginLoss:
    with warnings.catch_warnings():
        # λ_g = 0 is one of the controls.
        warnings.simplefilter("ignore", EquilibriumWarning)
        return losses.build(run.loss, dim=DIM, num_classes=classes, **run.parameters)


def batches(run: Run, images: TrainingImages) -> Iterator[FaceBatch]:
    """The same images in the same views, whatever the loss; pairs need their own order."""
    order, rng = batch_order(run, images), np.random.default_rng(run.seed)
    for step in range(run.steps):
        epoch, position = divmod(step, len(order))
        if position == 0:
            rows_KB = order.epoch(epoch)
        chosen = images.views[rows_KB[position], epoch % VIEWS]
        mirrored = rng.random(len(chosen)) < 0.5
        chosen[mirrored] = chosen[mirrored, :, ::-1]
        labels = images.labels[rows_KB[position]]
        yield FaceBatch(torch.from_numpy(chosen), torch.from_numpy(labels))


def batch_order(run: Run, images: TrainingImages) -> BatchOrder:
    if run.loss != "circle_pair":
        return Shuffled(len(images.labels), BATCH, run.seed)
    groups = BATCH // PER_IDENTITY
    return Paired(
        PKSampler(
            images.labels.tolist(),
            classes_per_batch=groups,
            samples_per_class=PER_IDENTITY,
            seed=run.seed,
        )
    )


@torch.inference_mode()
def embed(backbone: Backbone, pixels: Pixels, batch: int = 256) -> Features:
    """Raw features (N, D) in evaluation mode."""
    backbone.eval()
    parts = [
        backbone(to_input(torch.from_numpy(pixels[at : at + batch]))).numpy()
        for at in range(0, len(pixels), batch)
    ]
    return np.concatenate(parts)
