"""An exponential moving average of the backbone's weights: usually better than the last."""

import torch
from torch import Tensor, nn


class Ema:
    """Averages of a module's floating-point state; integer buffers are copied.

    The decay grows as (1 + t) / (10 + t) up to its value, so that short runs forget the random
    initialisation.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Account for the weights after `step` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        state = module.state_dict()
        floats = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [self.shadow[name] for name in floats], [state[name] for name in floats], 1 - decay
        )
        for name in state.keys() - set(floats):
            self.shadow[name].copy_(state[name])

    def load(self, shadow: dict[str, Tensor]) -> None:
        """Take the averages of a checkpoint."""
        for name, value in self.shadow.items():
            value.copy_(shadow[name])
