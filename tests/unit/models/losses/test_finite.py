"""No NaN and no infinity where a formula has a pole, nor in half precision."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.losses import MarginLoss, build, names
from tests.unit.models.losses.batches import Batch, batch_at

EXACT = torch.eye(4)[:3]
EVERY = [
    *((name, {}) for name in names()),
    *(("arcface", {"beyond_pi": rule}) for rule in ("easy", "monotone", "none")),
    ("arcface_torch", {}),
    ("magface_repo", {}),
    ("magface_monotone", {}),
    ("magface", {"free_penalty": True}),
    ("l_softmax", {"anneal": None}),
    ("a_softmax", {"anneal": None}),
    ("elasticface_cos_plus", {}),
    ("sphereface2_opensphere", {}),
]


def assert_finite(loss: MarginLoss, features: Tensor, labels: Tensor) -> None:
    features = features.clone().requires_grad_()
    output = loss(features, labels)
    output.loss.backward()
    weight_gradient = loss.weight.grad
    for value in (output.loss, output.logits, output.per_sample, features.grad, weight_gradient):
        assert value is None or value.isfinite().all()
    assert weight_gradient is not None or not loss.weight.requires_grad
    assert all(buffer.isfinite().all() for buffer in loss.buffers())
    assert all(np.isfinite(figure) for figure in loss.statistics().values())


def make(name: str, parameters: dict, dtype: torch.dtype, weight: Tensor) -> MarginLoss:
    loss = build(name, dim=weight.shape[1], num_classes=len(weight), **parameters).to(dtype)
    with torch.no_grad():
        loss.weight.copy_(weight)
    return loss


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("name", "parameters"), EVERY)
class TestPoles:
    def test_target_at_cosine_one_and_minus_one(
        self, name: str, parameters: dict, dtype: torch.dtype
    ) -> None:
        """Every target and every non-target cosine is exactly 1, 0 or −1."""
        weight = torch.cat([EXACT, -EXACT])
        features = torch.cat([20 * EXACT, 20 * EXACT]).to(dtype)
        labels = torch.tensor([0, 1, 2, 3, 4, 5])
        assert_finite(make(name, parameters, dtype, weight), features, labels)

    def test_non_target_at_cosine_one(
        self, name: str, parameters: dict, dtype: torch.dtype
    ) -> None:
        features = 20 * EXACT.to(dtype)
        assert_finite(make(name, parameters, dtype, EXACT), features, torch.tensor([1, 2, 0]))

    def test_zero_vectors(self, name: str, parameters: dict, dtype: torch.dtype) -> None:
        """A dead feature, and a class weight that is zero."""
        features = torch.tensor([[0.0, 0, 0, 0], [3, 1, 2, 4], [1, 5, 0, 2]], dtype=dtype)
        weight = EXACT.clone()
        weight[1] = 0.0
        assert_finite(make(name, parameters, dtype, weight), features, torch.tensor([0, 1, 1]))

    def test_batch_of_one(self, name: str, parameters: dict, dtype: torch.dtype) -> None:
        features = torch.tensor([[3.0, 1, 2, 4]], dtype=dtype)
        assert_finite(make(name, parameters, dtype, EXACT), features, torch.tensor([2]))

    def test_one_class(self, name: str, parameters: dict, dtype: torch.dtype) -> None:
        features = torch.tensor([[3.0, 1, 2, 4], [0, 1, 0, 1]], dtype=dtype)
        assert_finite(make(name, parameters, dtype, EXACT[:1]), features, torch.tensor([0, 0]))

    def test_extreme_lengths(self, name: str, parameters: dict, dtype: torch.dtype) -> None:
        features = torch.tensor([[1e-18, 0, 0, 1e-18], [1e4, 2e4, 0, 1e4]], dtype=dtype)
        assert_finite(make(name, parameters, dtype, EXACT), features, torch.tensor([0, 1]))


@pytest.mark.parametrize("name", ["circle", "circle_pair"])
def test_gamma_256_does_not_overflow(name: str) -> None:
    """Worst case: positives opposite, negatives equal; logits reach 1008."""
    features = torch.tensor([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])
    loss = make(name, {"gamma": 256.0}, torch.float32, torch.tensor([[-1.0, 0], [1, 0]]))
    labels = torch.tensor([0, 0, 1, 1])
    assert_finite(loss, features, labels)
    assert loss(features, labels).loss > 500


def test_circle_pair_without_pairs_is_zero_with_a_graph() -> None:
    loss = build("circle_pair", dim=4, num_classes=3)
    for labels in ([0, 1, 2], [1, 1, 1]):
        features = EXACT.clone().requires_grad_()
        output = loss(features, torch.tensor(labels))
        output.loss.backward()
        assert output.loss == 0
        assert (features.grad == 0).all()


def test_circle_pair_averages_over_anchors_that_have_pairs() -> None:
    """The lone sample of class 2 is a negative for others and no anchor itself."""
    features = batch_at(np.linspace(1, 50, 5), num_classes=3).features
    output = build("circle_pair", dim=8, num_classes=3)(features, torch.tensor([0, 0, 1, 1, 2]))
    assert output.per_sample[4] == 0
    assert output.loss == pytest.approx(output.per_sample[:4].mean().item())


def test_circle_pair_prototypes_follow_the_classes(batch: Batch) -> None:
    """`weight` learns nothing; it holds where each class was last seen, so logits rank it."""
    near = batch_at(np.full(20, 15.0), num_classes=5, norms=7.0)
    loss = build("circle_pair", dim=8, num_classes=5).double()
    loss(near.features, near.labels)
    assert (loss.eval()(near.features, near.labels).logits.argmax(1) == near.labels).all()
    before = loss.weight.clone()
    loss(batch.features, batch.labels)
    torch.testing.assert_close(loss.weight, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("name", names())
def test_head_arithmetic_is_float32_under_autocast(name: str, dtype: torch.dtype) -> None:
    """The same numbers, bit for bit, as the head gives for these features without autocast."""
    batch = batch_at(np.linspace(1, 179, 12))
    features = batch.features.to(dtype)
    outputs = []
    for enabled in (True, False):
        torch.manual_seed(0)
        loss = build(name, dim=8, num_classes=5)
        with torch.no_grad():
            loss.weight.copy_(batch.weight)
        given = features.clone() if enabled else features.float()
        given.requires_grad_()
        with torch.autocast("cpu", dtype=dtype, enabled=enabled):
            output = loss(given, batch.labels)
        output.loss.backward()
        outputs.append((output, given.grad.float()))
    (half, half_gradient), (full, full_gradient) = outputs
    assert half.loss.dtype == half.logits.dtype == torch.float32
    assert torch.equal(half.loss, full.loss)
    assert torch.equal(half.logits, full.logits)
    torch.testing.assert_close(half_gradient, full_gradient, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("name", names())
def test_a_head_cast_to_half_computes_in_float32(name: str, batch: Batch) -> None:
    loss = build(name, dim=8, num_classes=5).bfloat16()
    output = loss(batch.features.bfloat16(), batch.labels)
    assert output.loss.dtype == output.logits.dtype == torch.float32


def test_labels_of_any_integer_type(batch: Batch) -> None:
    loss = batch.place(build("arcface", dim=8, num_classes=5))
    expected = loss(batch.features, batch.labels).loss
    assert torch.equal(loss(batch.features, batch.labels.int()).loss, expected)
    assert torch.equal(loss(batch.features, batch.labels.to(torch.uint8)).loss, expected)


def test_a_zero_feature_receives_no_gradient_from_cosines() -> None:
    loss = build("arcface", dim=4, num_classes=3)
    features = torch.zeros(2, 4, requires_grad=True)
    loss(features, torch.tensor([0, 1])).loss.backward()
    assert (features.grad == 0).all()
