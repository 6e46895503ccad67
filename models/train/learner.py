"""What learns, and one step of it.

The randomness of step k (dropout, sampled margins) is a function of (seed, k, rank) alone: there
is no generator state to save, and nothing that happens between steps can change a run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from models.backbones import Backbone
from models.data.batches import FaceBatch
from models.losses import MarginLoss, PartialFC
from models.train.config import TrainingConfig
from models.train.ema import Ema
from models.train.optimiser import build_optimiser, named_parameters
from models.train.schedule import Schedule, set_learning_rate
from models.train.world import World

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class NonFiniteError(RuntimeError):
    """The loss or a gradient is NaN or infinite; the weights were not touched."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Means over all ranks. `stop` is true when any rank asked to stop."""

    loss: float
    gradient_norm: Tensor
    stop: bool


class Learner:
    """Backbone, loss and optimiser on their device, with everything that a step changes."""

    def __init__(
        self,
        config: TrainingConfig,
        backbone: Backbone,
        loss: MarginLoss | PartialFC,
        schedule: Schedule,
        world: World,
    ) -> None:
        self.config = config
        self.schedule = schedule
        self.world = world
        self.backbone = backbone.to(world.device)
        if config.system.channels_last:
            self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = loss.to(world.device)
        # Partial FC shards a plain loss, which is what holds the class weights and their names.
        self.head = loss.loss if isinstance(loss, PartialFC) else loss
        self.network = self._network()
        named = named_parameters(self.backbone, self.head)
        self.optimiser: Optimizer = build_optimiser(config.optimiser, named)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=config.precision == "fp16")
        self.ema = Ema(self.backbone, config.ema_decay) if config.ema_decay > 0 else None
        self.step = 0

    def _network(self) -> nn.Module:
        """The backbone as it is called: compiled and synchronised as configured."""
        network = self.backbone
        if self.config.system.compile:
            network.compile()
        if self.world.num_ranks > 1:
            return DistributedDataParallel(network)
        return network

    def train_step(self, batch: FaceBatch, stop: bool = False) -> StepResult:
        """One optimiser step. Raises NonFiniteError before the weights are touched."""
        torch.manual_seed(step_seed(self.config.seed, self.step, self.world.rank))
        learning_rate = self.config.optimiser.lr * self.schedule.factor(self.step)
        set_learning_rate(self.optimiser, learning_rate)
        labels_B = batch.labels.to(self.world.device, non_blocking=True)
        output = self.loss(self._features(batch.images), labels_B)
        mean_loss, stops = self._agree(output.loss, stop)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(output.loss).backward()
        norm = self._finish_gradients()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.ema is not None:
            self.ema.update(self.backbone, self.step)
        self.step += 1
        return StepResult(mean_loss, norm, stops)

    @contextmanager
    def evaluating(self) -> Iterator[Backbone]:
        """The backbone in evaluation mode, with the averaged weights where there are any."""
        own = {name: value.clone() for name, value in self.backbone.state_dict().items()}
        if self.ema is not None:
            self.backbone.load_state_dict(self.ema.shadow)
        self.backbone.eval()
        try:
            yield self.backbone
        finally:
            self.backbone.load_state_dict(own)
            self.backbone.train()

    def _features(self, images_BHWC: Tensor) -> Tensor:
        images = to_input(images_BHWC.to(self.world.device, non_blocking=True))
        dtype = DTYPES[self.config.precision]
        with torch.autocast(self.world.device.type, dtype, enabled=dtype != torch.float32):
            features_BD: Tensor = self.network(images)
        return features_BD.float()

    def _agree(self, loss: Tensor, stop: bool) -> tuple[float, bool]:
        """The mean loss, and whether any rank wants to stop: all ranks leave at the same step."""
        flag = torch.full_like(loss.detach(), float(stop))
        mean_loss, stopping = self.world.mean(torch.stack((loss.detach(), flag))).tolist()
        self._refuse_non_finite("loss", mean_loss)
        return mean_loss, stopping > 0

    def _finish_gradients(self) -> Tensor:
        """Average, unscale and clip. Under fp16 an overflow is the scaler's to handle."""
        if self.head is self.loss:  # Partial FC's gradients are complete already
            self.world.average_gradients(self.loss.parameters())
        self.scaler.unscale_(self.optimiser)
        limit = self.config.optimiser.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.backbone.parameters(), limit)
        if not self.scaler.is_enabled():
            head = [p.grad for p in self.loss.parameters() if p.grad is not None]
            total = norm + nn.utils.get_total_norm(head).to(norm.device)
            self._refuse_non_finite("gradient norm", total.item())
        return norm

    def _refuse_non_finite(self, what: str, value: float) -> None:
        if not torch.isfinite(torch.tensor(value)):
            raise NonFiniteError(
                f"the {what} is {value} at step {self.step}: stopped before the optimiser touched "
                "the weights. Lower optimiser.lr, lengthen schedule.warmup, or look at the images "
                "of this batch."
            )


def to_input(images_BHWC: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) RGB to float32 (B, 3, H, W) in [−1, 1]: (x − 127.5) / 127.5."""
    return (images_BHWC.permute(0, 3, 1, 2).float() - 127.5) / 127.5


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for one step of one rank."""
    return int.from_bytes(sha256(f"{seed}/{step}/{rank}".encode()).digest()[:7], "little")
