"""Each loss computed again from its paper, in NumPy, on angles over all of [0°, 180°]."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from models.losses import build, names
from tests.unit.models.losses.batches import Batch, batch_at

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Case:
    """The raw batch as the papers write it: θ, |x|, |W| and the positives' mask."""

    features: Array
    weight: Array
    labels: Array

    @property
    def norms(self) -> Array:
        return np.linalg.norm(self.features, axis=1)

    @property
    def lengths(self) -> Array:
        return np.linalg.norm(self.weight, axis=1)

    @property
    def products(self) -> Array:
        return self.features @ self.weight.T

    @property
    def cosines(self) -> Array:
        return self.products / self.norms[:, None] / self.lengths

    @property
    def positive(self) -> Array:
        return self.labels[:, None] == np.arange(len(self.weight))

    @property
    def angles(self) -> Array:
        """θ_y, (B, 1)."""
        return np.arccos(self.cosines[self.positive])[:, None]


def entropy(logits: Array, labels: Array) -> Array:
    peak = logits.max(1, keepdims=True)
    total = np.log(np.exp(logits - peak).sum(1)) + peak[:, 0]
    return total - logits[np.arange(len(labels)), labels]


def softplus(values: Array) -> Array:
    return np.logaddexp(0.0, values)


def psi(angles: Array, m: int) -> Array:
    k = np.minimum(np.floor(m * angles / np.pi), m - 1)
    return (-1.0) ** k * np.cos(m * angles) - 2.0 * k


def hard(angles: Array, m: Array | float) -> Array:
    return np.where(angles + m < np.pi, np.cos(angles + m), np.cos(angles) - m * np.sin(m))


def monotone(angles: Array, m: Array | float) -> Array:
    return np.where(angles + m < np.pi, np.cos(angles + m), -2.0 - np.cos(angles + m))


def easy(angles: Array, m: Array | float) -> Array:
    return np.where(angles < np.pi / 2, np.cos(angles + m), np.cos(angles))


def plain(angles: Array, m: Array | float) -> Array:
    return np.cos(angles + m)


EXTENSIONS = {"hard": hard, "monotone": monotone, "easy": easy, "none": plain}


def magface_margin(norms: Array) -> Array:
    return 0.45 + (0.8 - 0.45) / (110 - 10) * (np.clip(norms, 10, 110) - 10)


def magface_penalty(norms: Array) -> Array:
    inside = np.clip(norms, 10, 110)
    return 35.0 * (1 / inside + inside / 110**2)


def adaface(case: Case) -> Array:
    norms = np.clip(case.norms, 1e-3, 100)
    mean = 0.99 * 20.0 + 0.01 * norms.mean()
    std = 0.99 * 100.0 + 0.01 * norms.std(ddof=1)
    z = np.clip(0.333 * (norms - mean) / (std + 1e-3), -1, 1)[:, None]
    cosines = np.clip(case.cosines, -1 + 1e-3, 1 - 1e-3)
    angles = np.arccos(cosines[case.positive])[:, None]
    target = np.cos(np.clip(angles - 0.4 * z, 1e-3, np.pi - 1e-3)) - (0.4 + 0.4 * z)
    return 64 * np.where(case.positive, target, cosines)


def curricularface(case: Case) -> Array:
    t = 0.01 * np.cos(case.angles).mean()
    harder = case.cosines > np.cos(case.angles + 0.5)
    negatives = np.where(harder, case.cosines * (t + case.cosines), case.cosines)
    return 64 * np.where(case.positive, hard(case.angles, 0.5), negatives)


def circle(case: Case) -> Array:
    s = case.cosines
    pull, push = np.maximum(1.25 - s, 0), np.maximum(s + 0.25, 0)
    return 256 * np.where(case.positive, pull * (s - 0.75), push * (s - 0.25))


def sphereface2(case: Case) -> Array:
    spread = 2 * ((case.cosines + 1) / 2) ** 3 - 1
    odds = 0.7 / 0.3 / (len(case.weight) - 1)
    a_y, a_j = 40 * (-0.75 - 0.4), 40 * (-0.75 + 0.4)
    # odds·σ(−a_y − b) = σ(a_j + b): a quadratic in e^b
    roots = np.roots([math.exp(a_y + a_j), math.exp(a_j) * (1 - odds), -odds])
    return 40 * (spread - np.where(case.positive, 0.4, -0.4)) + math.log(roots.max())


def uniface(case: Case) -> Array:
    margins = np.where(case.positive, 0.4, 0.0)
    return 64 * (case.cosines - margins) - math.log(10 * len(case.weight))


LAMBDA = {"l_softmax": 1000 * (1 + 2.5e-5) ** -35, "a_softmax": 1000 / 1.12}
LOGITS: dict[str, Callable[[Case], Array]] = {
    "softmax": lambda c: c.products,
    "norm_softmax": lambda c: 64 * c.cosines,
    "l_softmax": lambda c: np.where(
        c.positive,
        c.norms[:, None] * c.lengths * annealed(c.angles, LAMBDA["l_softmax"]),
        c.products,
    ),
    "a_softmax": lambda c: (
        c.norms[:, None] * np.where(c.positive, annealed(c.angles, LAMBDA["a_softmax"]), c.cosines)
    ),
    "cosface": lambda c: 64 * (c.cosines - 0.35 * c.positive),
    "arcface": lambda c: 64 * np.where(c.positive, hard(c.angles, 0.5), c.cosines),
    "circle": circle,
    "magface": lambda c: (
        64 * np.where(c.positive, hard(c.angles, magface_margin(c.norms)[:, None]), c.cosines)
    ),
    "adaface": adaface,
    "curricularface": curricularface,
    "elasticface": lambda c: 64 * np.where(c.positive, np.cos(c.angles + 0.5), c.cosines),
    "sphereface2": sphereface2,
    "uniface": uniface,
}
PARAMETERS = {"elasticface": {"std": 0.0}}


def annealed(angles: Array, weight: float) -> Array:
    return (weight * np.cos(angles) + psi(angles, 4)) / (1 + weight)


def expected_losses(name: str, case: Case, logits: Array) -> Array:
    if name in ("sphereface2", "uniface"):
        positive, negative = (50 / 40 * 0.7, 50 / 40 * 0.3) if name == "sphereface2" else (1, 1)
        both = np.where(case.positive, positive * softplus(-logits), negative * softplus(logits))
        return both.sum(1)
    penalty = magface_penalty(case.norms) if name == "magface" else 0.0
    return entropy(logits, case.labels) + penalty


def test_every_loss_has_its_formula_here() -> None:
    assert set(LOGITS) == set(names()) - {"circle_pair"}


@pytest.mark.parametrize("name", LOGITS)
def test_value_is_the_papers(name: str, batch: Batch) -> None:
    case = Case(*(t.numpy() for t in (batch.features, batch.weight, batch.labels)))
    loss = batch.place(build(name, dim=8, num_classes=5, **PARAMETERS.get(name, {})))
    output = loss(batch.features, batch.labels)
    expected = LOGITS[name](case)
    losses = expected_losses(name, case, expected)
    within = (
        1e-5 if name in ("l_softmax", "a_softmax", "sphereface2", "uniface", "adaface") else 1e-9
    )
    np.testing.assert_allclose(output.logits.detach(), expected, rtol=within, atol=within)
    np.testing.assert_allclose(output.per_sample.detach(), losses, rtol=within, atol=within)
    assert output.loss.item() == pytest.approx(losses.mean(), rel=within)


@pytest.mark.parametrize("rule", EXTENSIONS)
@pytest.mark.parametrize("name", ["arcface", "magface", "curricularface", "elasticface"])
def test_beyond_pi_rules(name: str, rule: str, batch: Batch) -> None:
    case = Case(*(t.numpy() for t in (batch.features, batch.weight, batch.labels)))
    parameters = {"beyond_pi": rule, **PARAMETERS.get(name, {})}
    loss = batch.place(build(name, dim=8, num_classes=5, **parameters))
    margins = magface_margin(case.norms)[:, None] if name == "magface" else 0.5
    targets = loss(batch.features, batch.labels).logits.detach().numpy()[case.positive]
    np.testing.assert_allclose(targets, 64 * EXTENSIONS[rule](case.angles, margins)[:, 0])


def test_detached_margin_changes_the_gradient_alone(batch: Batch) -> None:
    """∂f/∂cos θ is s instead of s·sin(θ + m)/sin θ."""
    gradients, values = {}, {}
    for detach in (False, True):
        loss = build("arcface", dim=8, num_classes=5, beyond_pi="none", detach_margin=detach)
        features = batch.features.clone().requires_grad_()
        targets = batch.place(loss)(features, batch.labels).logits
        targets = targets.gather(1, batch.labels[:, None])
        (gradients[detach],) = torch.autograd.grad(targets.sum(), features)
        values[detach] = targets.detach()
    torch.testing.assert_close(values[True], values[False])
    ratio = np.sin(batch.angles + 0.5) / np.sin(batch.angles)
    np.testing.assert_allclose(
        gradients[False].numpy(), gradients[True].numpy() * ratio[:, None], rtol=1e-9
    )


def test_circle_pair_is_the_papers() -> None:
    batch = batch_at(np.linspace(1, 60, 11), num_classes=4)
    case = Case(batch.features.numpy(), batch.features.numpy(), batch.labels.numpy())
    same = case.labels[:, None] == case.labels
    expected = []
    for anchor in range(len(same)):
        mates = same[anchor] & (np.arange(len(same)) != anchor)
        s_p, s_n = case.cosines[anchor, mates], case.cosines[anchor, ~same[anchor]]
        pulls = np.exp(-8 * np.maximum(1.25 - s_p, 0) * (s_p - 0.75)).sum()
        pushes = np.exp(8 * np.maximum(s_n + 0.25, 0) * (s_n - 0.25)).sum()
        expected.append(np.log1p(pulls * pushes))
    loss = build("circle_pair", dim=8, num_classes=4, gamma=8.0).double()
    output = loss(batch.features, batch.labels)
    np.testing.assert_allclose(output.per_sample.detach(), expected, rtol=1e-12)
    assert output.loss.item() == pytest.approx(np.mean(expected))


def test_elasticface_plus_gives_the_worst_samples_the_largest_margins(batch: Batch) -> None:
    margins = {}
    for plus in (False, True):
        torch.manual_seed(3)
        loss = build("elasticface", dim=8, num_classes=5, kind="cos", margin=0.35, plus=plus)
        logits = batch.place(loss)(batch.features, batch.labels).logits.detach() / 64
        targets = logits.gather(1, batch.labels[:, None])[:, 0].numpy()
        margins[plus] = np.cos(batch.angles) - targets
    assert np.all(np.diff(margins[True]) > 0)  # the batch goes from 2° to 178°
    np.testing.assert_allclose(np.sort(margins[False]), margins[True])
    assert np.std(margins[True]) == pytest.approx(0.05, rel=0.5)


def test_elasticface_evaluates_with_the_mean_margin(batch: Batch) -> None:
    loss = batch.place(build("elasticface", dim=8, num_classes=5, std=0.3)).eval()
    sharp = batch.place(build("elasticface", dim=8, num_classes=5, std=0.0)).eval()
    ours = loss(batch.features, batch.labels).logits
    torch.testing.assert_close(ours, sharp(batch.features, batch.labels).logits)


def test_sphereface2_starts_where_its_bias_is_stationary() -> None:
    for num_classes in (2, 3, 10, 10_000):
        loss = build("sphereface2_opensphere", dim=4, num_classes=num_classes).double()
        features = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64)
        with torch.no_grad():
            loss.weight.copy_(torch.tensor([0.0, 1, 0, 0]))
        loss(features, torch.zeros(1, dtype=torch.int64)).loss.backward()
        assert abs(loss.bias.grad.item()) < 1e-5
