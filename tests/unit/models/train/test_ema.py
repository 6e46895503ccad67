import pytest
import torch
from torch import nn

from models.train.ema import Ema


def test_the_average_follows_its_formula() -> None:
    module = nn.BatchNorm1d(1)
    ema = Ema(module, decay=0.5)
    expected = 1.0
    for step, value in enumerate([3.0, 5.0, 7.0]):
        nn.init.constant_(module.weight, value)
        module.num_batches_tracked += 1
        ema.update(module, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert ema.shadow["weight"].item() == pytest.approx(expected)
    assert ema.shadow["num_batches_tracked"].item() == 3


def test_the_average_is_not_the_module() -> None:
    module = nn.Linear(2, 2)
    ema = Ema(module, decay=0.9)
    before = ema.shadow["weight"].clone()
    nn.init.zeros_(module.weight)
    assert torch.equal(ema.shadow["weight"], before)
