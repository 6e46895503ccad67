import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from export.embed import TRAINED_INPUT
from models.backbones import Backbone
from models.data.batches import FaceBatch
from models.losses import LossOutput
from models.losses.cosface import CosFace
from models.train import NonFiniteError, TrainingConfig
from models.train.build import build_backbone
from models.train.learner import Learner, to_input
from models.train.schedule import Schedule
from models.train.world import World

ALONE = World(rank=0, num_ranks=1, device=torch.device("cpu"))
MakeConfig = Callable[..., TrainingConfig]


class Spoiled(CosFace):
    """CosFace whose loss, or the gradient of it alone, is not a number."""

    def __init__(self, spoil: str) -> None:
        super().__init__(dim=16, num_classes=4)
        self.spoil = spoil

    def forward(self, features_BD: Tensor, labels_B: Tensor) -> LossOutput:
        output = super().forward(features_BD, labels_B)
        if self.spoil == "loss":
            return replace(output, loss=output.loss * math.nan)
        # √0 has an infinite slope: the value stays finite.
        return replace(output, loss=output.loss + (output.loss * 0.0).sqrt())


def learner(config: TrainingConfig, loss: CosFace | None = None) -> Learner:
    torch.manual_seed(0)
    backbone: Backbone = build_backbone(config.backbone)
    loss = loss or CosFace(dim=16, num_classes=4, scale=16.0, margin=0.2)
    return Learner(config, backbone, loss, Schedule(config.schedule, 3), ALONE)


@pytest.fixture
def batch() -> FaceBatch:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (4, 112, 112, 3), dtype=torch.uint8, generator=generator)
    return FaceBatch(images, torch.arange(4))


def state(of: Learner) -> list[Tensor]:
    modules = (of.backbone, of.loss)
    return [p.detach().clone() for module in modules for p in module.parameters()]


def test_steps_lower_the_loss_of_a_batch(make_config: MakeConfig, batch: FaceBatch) -> None:
    trained = learner(make_config())
    losses = [trained.train_step(batch).loss for _ in range(8)]
    assert losses[-1] < 0.7 * losses[0], losses


@pytest.mark.parametrize("spoil", ["loss", "gradient"])
def test_nan_stops_before_the_weights_move(
    make_config: MakeConfig, batch: FaceBatch, spoil: str
) -> None:
    trained = learner(make_config(ema_decay=0.9), Spoiled(spoil))
    before = state(trained)
    with pytest.raises(NonFiniteError, match=f"{spoil}.* at step 0"):
        trained.train_step(batch)
    assert all(torch.equal(a, b) for a, b in zip(before, state(trained), strict=True))
    assert trained.step == 0


def test_the_gradient_of_the_backbone_is_clipped(make_config: MakeConfig, batch: FaceBatch) -> None:
    config = make_config()
    clipped = learner(replace(config, optimiser=replace(config.optimiser, clip_norm=1e-3)))
    norm = clipped.train_step(batch).gradient_norm
    after = [p.grad for p in clipped.backbone.parameters() if p.grad is not None]
    assert norm.item() > 1e-3
    assert torch.nn.utils.get_total_norm(after).item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_near_full(
    make_config: MakeConfig, batch: FaceBatch, precision: str
) -> None:
    full = learner(make_config()).train_step(batch).loss
    half = learner(make_config(precision=precision)).train_step(batch).loss
    assert half != full
    assert half == pytest.approx(full, rel=0.1)


def test_the_features_reach_the_loss_in_full_precision(
    make_config: MakeConfig, batch: FaceBatch
) -> None:
    seen: list[torch.dtype] = []
    trained = learner(make_config(precision="bf16"))
    trained.loss.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    trained.train_step(batch)
    assert seen == [torch.float32]


def test_evaluating_borrows_the_averaged_weights(make_config: MakeConfig, batch: FaceBatch) -> None:
    trained = learner(make_config(ema_decay=0.9))
    trained.train_step(batch)
    before = state(trained)
    assert trained.ema is not None
    with trained.evaluating() as backbone:
        assert not backbone.training
        for name, value in backbone.state_dict().items():
            assert torch.equal(value, trained.ema.shadow[name])
    assert trained.backbone.training
    assert all(torch.equal(a, b) for a, b in zip(before, state(trained), strict=True))


def test_the_input_is_what_an_exported_package_computes() -> None:
    images = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8)
    assert to_input(images).numpy() == pytest.approx(TRAINED_INPUT(images.numpy()), abs=1e-6)


def test_the_input_lies_between_minus_one_and_one() -> None:
    image = torch.tensor([0, 255, 127], dtype=torch.uint8).expand(1, 2, 4, 3)
    image_B3HW = to_input(image)
    assert image_B3HW.shape == (1, 3, 2, 4)
    assert image_B3HW[0, :, 0, 0].tolist() == pytest.approx([-1.0, 1.0, -0.5 / 127.5])
