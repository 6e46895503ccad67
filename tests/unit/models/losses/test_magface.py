"""The balance that makes length a quality, and the ways to lose it."""

import math
import warnings

import numpy as np
import pytest
import torch

from models.losses import build
from models.losses.magface import EquilibriumWarning, MagFace

CLASSES = 85_742
SLOPE = (0.8 - 0.45) / 100


def magface(num_classes: int = CLASSES, **parameters: object) -> MagFace:
    loss = build("magface", dim=3, num_classes=num_classes, **parameters).double()
    assert isinstance(loss, MagFace)
    with torch.no_grad():  # the target class first, all others at cosine 0 from every sample
        loss.weight.copy_(torch.tensor([0.0, 0, 1]))
        loss.weight[0] = torch.tensor([1.0, 0, 0])
    return loss


def slope(loss: MagFace, degrees: float, norm: float) -> float:
    """d loss/d norm of one sample at the angle."""
    angle = math.radians(degrees)
    length = torch.tensor(norm, dtype=torch.float64, requires_grad=True)
    direction = torch.tensor([math.cos(angle), math.sin(angle), 0], dtype=torch.float64)
    total = loss((length * direction)[None], torch.tensor([0])).loss
    return torch.autograd.grad(total, length)[0].item()


def balance(degrees: float, norm: float) -> float:
    """λ_g(1/a² − 1/u_a²) − s·K·(1 − p)·sin(θ + m(a)): what pushes up less what pushes down."""
    angle = math.radians(degrees) + 0.45 + SLOPE * (norm - 10)
    miss = 1 / (1 + math.exp(64 * math.cos(angle)) / (CLASSES - 1))
    return 35 * (1 / norm**2 - 1 / 110**2) - 64 * SLOPE * miss * math.sin(angle)


def best_norm(loss: MagFace, degrees: float) -> float:
    low, high = 10.0, 110.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(loss, degrees, middle) < 0 else (low, middle)
    return (low + high) / 2


def test_slope_is_the_stationary_condition() -> None:
    loss = magface()
    for degrees in (25.0, 40.0, 60.0, 100.0):
        for norm in (11.0, 20.0, 45.0):
            assert slope(loss, degrees, norm) == pytest.approx(-balance(degrees, norm), abs=1e-12)


def test_equilibrium_length_falls_with_the_angle() -> None:
    loss = magface()
    best = [best_norm(loss, degrees) for degrees in (25, 30, 40, 50, 60)]
    np.testing.assert_allclose(best, [109.75, 101.74, 63.38, 24.81, 12.44], atol=0.05)


def test_adam_finds_the_equilibrium() -> None:
    """One free length, optimised through the loss itself."""
    loss = magface(num_classes=500)
    length = torch.tensor(30.0, dtype=torch.float64, requires_grad=True)
    angle = math.radians(50)
    direction = torch.tensor([math.cos(angle), math.sin(angle), 0], dtype=torch.float64)
    adam = torch.optim.Adam([length], lr=2.0)
    decay = torch.optim.lr_scheduler.ExponentialLR(adam, 0.98)
    for _ in range(300):
        adam.zero_grad()
        loss((length * direction)[None], torch.tensor([0])).loss.backward()
        adam.step()
        decay.step()
    assert 11 < length.item() < 109
    assert length.item() == pytest.approx(best_norm(loss, 50), abs=0.05)


@pytest.mark.parametrize("degrees", [92.0, 100.0, 120.0, 150.0])
def test_easy_margin_inverts_quality_beyond_90_degrees(degrees: float) -> None:
    """There the original's default leaves g alone: the worst samples run to u_a."""
    assert best_norm(magface(beyond_pi="easy"), degrees) == pytest.approx(110.0, abs=0.05)
    assert best_norm(magface(beyond_pi="hard"), degrees) < 32
    assert best_norm(magface(beyond_pi="monotone"), degrees) < 48


def test_warns_when_lambda_is_under_its_bound() -> None:
    loss = magface()
    assert loss.lambda_bound == pytest.approx(22.59, abs=0.01)
    with pytest.warns(EquilibriumWarning, match=r"22\.59"):
        build("magface", dim=3, num_classes=2, lambda_g=20.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build("magface", dim=3, num_classes=2, lambda_g=20.0, scale=32.0)
        build("magface", dim=3, num_classes=2, lambda_g=0.0, l_m=0.5, u_m=0.5)


def test_clamp_holds_lengths_outside_the_range_and_free_penalty_lets_them_go() -> None:
    """As the original, no gradient in length below l_a; with `free_penalty` it must grow."""
    held, free = magface(), magface(free_penalty=True)
    for norm in (2.0, 8.0, 120.0):
        assert slope(held, 40, norm) == pytest.approx(0, abs=1e-15)
    assert slope(free, 40, 8.0) == pytest.approx(35 * (1 / 110**2 - 1 / 10**2))
    assert slope(free, 40, 0.5) == slope(free, 40, 8.0)
    assert slope(free, 40, 120.0) > 0
    assert slope(free, 40, 30.0) == slope(held, 40, 30.0)
    edge = torch.tensor([10.0 - 1e-9, 10.0 + 1e-9], dtype=torch.float64)
    torch.testing.assert_close(*free.regulariser(edge))


def test_statistics_tell_which_lengths_the_clamp_holds() -> None:
    loss = build("magface", dim=2, num_classes=2)
    assert loss.statistics() == {}
    lengths = torch.tensor([4.0, 10.0, 60.0, 90.0, 150.0])
    loss(torch.stack([lengths, torch.zeros(5)], 1), torch.tensor([0, 1, 0, 1, 0]))
    statistics = loss.statistics()
    assert statistics["fraction_below_l_a"] == pytest.approx(0.2)
    assert statistics["fraction_above_u_a"] == pytest.approx(0.2)
    assert statistics["norm_mean"] == pytest.approx(lengths.mean().item())
    expected = np.mean([0.45, 0.45, 0.625, 0.73, 0.8])
    assert statistics["margin_mean"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "parameters",
    [{"l_a": 0.0}, {"l_a": 110.0}, {"l_m": 0.9}, {"u_m": 28.6}, {"beyond_pi": "soft"}],
)
def test_refuses_parameters_that_make_no_sense(parameters: dict) -> None:
    with pytest.raises(ValueError, match=r"need 0 < l_a|radians|beyond_pi"):
        build("magface", dim=3, num_classes=2, **parameters)
