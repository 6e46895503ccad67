"""Where one loss must become another: value, logits and both gradients."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from models.losses import MarginLoss, build
from tests.unit.models.losses.batches import Batch, batch_at


@dataclass(frozen=True, slots=True)
class Step:
    loss: Tensor
    logits: Tensor
    feature_gradient: Tensor
    weight_gradient: Tensor


def step(loss: MarginLoss, batch: Batch) -> Step:
    loss = batch.place(loss)
    features = batch.features.clone().requires_grad_()
    output = loss(features, batch.labels)
    output.loss.backward()
    return Step(output.loss.detach(), output.logits.detach(), features.grad, loss.weight.grad)


def make(name: str, **parameters: object) -> MarginLoss:
    return build(name, dim=8, num_classes=5, **parameters)


def assert_same(one: MarginLoss, other: MarginLoss, batch: Batch, rtol: float = 1e-9) -> None:
    ours, theirs = step(one, batch), step(other, batch)
    for name in Step.__slots__:
        torch.testing.assert_close(
            getattr(ours, name), getattr(theirs, name), rtol=rtol, atol=rtol, msg=name
        )


FLAT = {"l_m": 0.0, "u_m": 0.0, "lambda_g": 0.0}
WITHOUT_MARGIN = [
    ("cosface", {"margin": 0.0}),
    *(("arcface", {"margin": 0.0, "beyond_pi": b}) for b in ("hard", "easy", "monotone", "none")),
    ("arcface", {"margin": 0.0, "detach_margin": True}),
    *(("magface", {**FLAT, "beyond_pi": b}) for b in ("hard", "easy", "monotone", "none")),
    ("elasticface", {"margin": 0.0, "std": 0.0}),
    ("elasticface", {"margin": 0.0, "std": 0.0, "kind": "cos"}),
]


@pytest.mark.parametrize(("name", "parameters"), WITHOUT_MARGIN)
def test_without_margin_is_normalised_softmax(name: str, parameters: dict, batch: Batch) -> None:
    assert_same(make(name, **parameters), make("norm_softmax"), batch)


def test_adaface_without_margin_is_normalised_softmax() -> None:
    inside = batch_at(np.linspace(10, 170, 9), num_classes=5)
    assert_same(make("adaface", margin=0.0), make("norm_softmax"), inside)


@pytest.mark.parametrize("beyond_pi", ["hard", "easy", "monotone", "none"])
def test_magface_with_one_margin_is_arcface(beyond_pi: str, batch: Batch) -> None:
    flat = make("magface", l_m=0.5, u_m=0.5, lambda_g=0.0, beyond_pi=beyond_pi)
    assert_same(flat, make("arcface", margin=0.5, beyond_pi=beyond_pi), batch)


def test_adaface_at_average_quality_is_cosface() -> None:
    inside = batch_at(np.linspace(10, 170, 9), num_classes=5)
    assert_same(make("adaface", h=0.0, margin=0.4), make("cosface", margin=0.4), inside)


def test_adaface_at_the_worst_quality_is_arcface() -> None:
    """z = −1: the angle grows by m, nothing is taken off."""
    inside = batch_at(np.linspace(10, 150, 9), num_classes=5, norms=20.0)
    worst = make("adaface", margin=0.4, t_alpha=0.0)
    worst.batch_mean.fill_(90.0)
    worst.batch_std.fill_(1.0)
    assert_same(worst, make("arcface", margin=0.4, beyond_pi="none"), inside)


def test_elasticface_without_spread_is_arcface(batch: Batch) -> None:
    assert_same(make("elasticface", std=0.0), make("arcface", beyond_pi="none"), batch)


def test_curricularface_without_hard_negatives_is_arcface() -> None:
    """Orthogonal classes, samples near their own: no negative passes cos(θ + m)."""
    loss, arc = (build(n, dim=4, num_classes=4).double() for n in ("curricularface", "arcface"))
    near = torch.eye(4, dtype=torch.float64) * 9 + 0.3
    results = []
    for each in (loss, arc):
        with torch.no_grad():
            each.weight.copy_(torch.eye(4))
        results.append(each(near, torch.arange(4)).logits)
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("parameters", [{"margin": 1, "anneal": None}, {"anneal": 1e13}])
def test_multiplicative_margins_fade_into_softmax(parameters: dict, batch: Batch) -> None:
    """m = 1, and λ → ∞: L-Softmax is softmax; A-Softmax too, with weights of length 1."""
    assert_same(make("l_softmax", **parameters), make("softmax"), batch, rtol=1e-8)
    unit = torch.nn.functional.normalize(batch.weight)
    with_unit = Batch(batch.features, unit, batch.labels, batch.angles)
    ours, theirs = step(make("a_softmax", **parameters), batch), step(make("softmax"), with_unit)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(ours.feature_gradient, theirs.feature_gradient, rtol=1e-8, atol=1e-8)


def test_circle_class_form_is_cross_entropy_and_the_pair_formula(batch: Batch) -> None:
    """log[1 + Σ exp(z_j) · exp(−z_y)], with one positive and C − 1 negatives."""
    output = batch.place(make("circle", gamma=16.0))(batch.features, batch.labels)
    positive = output.logits.gather(1, batch.labels[:, None])
    others = output.logits.exp().sum(1) - positive[:, 0].exp()
    unified = torch.log1p(others * (-positive[:, 0]).exp())
    torch.testing.assert_close(output.per_sample, unified)
    entropy = torch.nn.functional.cross_entropy(output.logits, batch.labels)
    torch.testing.assert_close(output.loss, entropy)


def test_sphereface2_and_uniface_share_the_binary_form(batch: Batch) -> None:
    """t = 1, equal weights: both are one-vs-all on s·cos θ with a margin and a bias."""
    sphere = make("sphereface2", scale=64.0, margin=0.0, alpha=0.5, t=1.0, loss_weight=128.0)
    uni = make("uniface", margin=0.0)
    with torch.no_grad():
        sphere.bias.copy_(-uni.bias)
    assert_same(sphere, uni, batch, rtol=1e-6)


def test_detached_sphereface2_keeps_its_value(batch: Batch) -> None:
    exact, detached = (
        step(make("sphereface2"), batch),
        step(make("sphereface2", detach_margin=True), batch),
    )
    torch.testing.assert_close(exact.loss, detached.loss)
    assert not torch.allclose(exact.feature_gradient, detached.feature_gradient)
