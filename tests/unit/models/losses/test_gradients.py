"""Analytic gradients against finite differences, with detached parts held where they are."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.losses import MarginLoss, build, names
from models.losses.adaface import AdaFace
from models.losses.base import Scores
from models.losses.circle import Circle
from models.losses.geometry import put_targets
from models.losses.psi import psi
from tests.unit.models.losses.batches import Batch, batch_at

SMOOTH = [
    *((name, {}) for name in names() if name not in ("circle", "circle_pair", "adaface")),
    ("arcface", {"beyond_pi": "monotone"}),
    ("arcface", {"beyond_pi": "easy"}),
    ("arcface", {"beyond_pi": "none"}),
    ("magface", {"beyond_pi": "easy"}),
    ("magface", {"beyond_pi": "monotone"}),
    ("magface", {"free_penalty": True}),
    ("elasticface", {"kind": "cos", "margin": 0.35}),
    ("l_softmax", {"anneal": None}),
    ("a_softmax", {"anneal": 2.0}),
]


@pytest.fixture
def small() -> Batch:
    """Six rows around the circle, away from every kink; lengths below, in and above the range."""
    degrees = np.array([12.0, 55.0, 80.0, 101.0, 140.0, 170.0])
    return batch_at(degrees, num_classes=4, dim=5, norms=np.array([5.0, 15, 30, 60, 100, 130]))


def check(loss: MarginLoss, batch: Batch) -> None:
    """gradcheck of the mean loss in the features and in every parameter."""
    loss = batch.place(loss).eval()
    parameters = dict(loss.named_parameters())

    def mean(features: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip(parameters, values, strict=True))
        output = torch.func.functional_call(loss, given, (features, batch.labels))
        return output.loss

    inputs = [batch.features, *(p.detach() for p in parameters.values())]
    inputs = [value.clone().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(mean, inputs, eps=1e-6, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "parameters"), SMOOTH)
def test_gradient_is_the_formulas(name: str, parameters: dict, small: Batch) -> None:
    scale = {"scale": 8.0} if name not in ("softmax", "l_softmax", "a_softmax") else {}
    check(build(name, dim=5, num_classes=4, **scale, **parameters), small)


@pytest.mark.parametrize("multiplier", [1, 2, 3, 4, 5])
def test_psi_rises_with_the_cosine_to_both_ends(multiplier: int) -> None:
    """dψ/dcos is m² at θ = 0 and at π, where the last piece must not give way to one past it."""
    ends = torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(psi(ends, multiplier).sum(), ends)
    torch.testing.assert_close(slope, torch.full_like(slope, multiplier**2))


class HeldCircle(Circle):
    """Circle loss whose pulls and pushes are constants, taken once."""

    held: tuple[Tensor, Tensor]

    def logits(self, scores: Scores) -> Tensor:
        pulls, pushes = self.held
        targets = pulls * (scores.targets - (1 - self.margin))
        return put_targets(pushes * (scores.values - self.margin), scores.labels, targets)


def test_circle_gradient_holds_pull_and_push(small: Batch) -> None:
    parameters = {"dim": 5, "num_classes": 4, "gamma": 16.0}
    free, held = small.place(Circle(**parameters)), small.place(HeldCircle(**parameters))
    scores = free.score(small.features, small.labels)
    held.held = (
        16.0 * (1.25 - scores.targets.detach()).clamp_min(0),
        16.0 * (scores.values.detach() + 0.25).clamp_min(0),
    )
    check(held, small)
    assert_same_gradient(free, held, small)


class HeldAdaFace(AdaFace):
    """AdaFace whose quality indicator is a constant."""

    held: Tensor

    def indicator(self, norms_B: Tensor) -> Tensor:
        return self.held


def test_adaface_gradient_holds_the_indicator() -> None:
    batch = batch_at([30.0, 70.0, 120.0], num_classes=3, dim=4, norms=np.array([9.0, 30, 50]))
    free, held = (
        batch.place(kind(dim=4, num_classes=3, scale=8.0)).eval() for kind in (AdaFace, HeldAdaFace)
    )
    held.held = free.indicator(batch.features.norm(dim=1))
    check(held, batch)
    assert_same_gradient(free, held, batch)


def assert_same_gradient(one: MarginLoss, other: MarginLoss, batch: Batch) -> None:
    gradients = []
    for loss in (one, other):
        features = batch.features.clone().requires_grad_()
        output = loss(features, batch.labels).loss
        gradients.append(torch.autograd.grad(output, (features, loss.weight)))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_circle_pair_gradient_is_softmax_weighted() -> None:
    """∂L/∂s = p·γ·push for the negatives and −p·γ·pull for the positives, on one anchor."""
    s_p, s_n = (torch.tensor(v, dtype=torch.float64) for v in (0.6, 0.3))
    x = torch.tensor([[1.0, 0, 0], [s_p, 0.8, 0], [s_n, 0, np.sqrt(0.91)]], dtype=torch.float64)
    x.requires_grad_()
    loss = build("circle_pair", dim=3, num_classes=2, gamma=4.0).double()
    output = loss(x, torch.tensor([0, 0, 1]))
    (gradient,) = torch.autograd.grad(output.per_sample[0], x)
    pull, push = 4 * (1.25 - s_p), 4 * (s_n + 0.25)
    share = torch.sigmoid(push * (s_n - 0.25) - pull * (s_p - 0.75))
    tangent = torch.tensor([1.0, 0, 0], dtype=torch.float64)
    expected_mate = -share * pull * (tangent - s_p * x[1].detach())
    expected_other = share * push * (tangent - s_n * x[2].detach())
    torch.testing.assert_close(gradient[1], expected_mate)
    torch.testing.assert_close(gradient[2], expected_other)
