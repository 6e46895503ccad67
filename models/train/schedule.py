"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

from bisect import bisect_right
from dataclasses import dataclass
from math import cos, pi

from torch.optim import Optimizer

from models.train.config import ScheduleConfig


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule over a known number of steps; `factor(step)` lies in [0, 1]."""

    config: ScheduleConfig
    steps_per_epoch: int

    @property
    def num_steps(self) -> int:
        """Length of the run."""
        return self.config.steps or self.config.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """Length of the linear growth, at the end of which the factor is 1."""
        return min(round(self.config.warmup * self.steps_per_epoch), self.num_steps)

    def factor(self, step: int) -> float:
        """What the base learning rate is multiplied by at a step, counted from 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.config.shape == "steps":
            epoch = step / self.steps_per_epoch
            return self.config.factor ** bisect_right(self.config.milestones, epoch)
        progress = (step - self.warmup_steps) / (self.num_steps - self.warmup_steps)
        if self.config.shape == "cosine":
            return 0.5 * (1.0 + cos(pi * progress))
        return (1.0 - progress) ** self.config.power


def set_learning_rate(optimiser: Optimizer, lr: float) -> None:
    """Give every parameter group the same learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr
