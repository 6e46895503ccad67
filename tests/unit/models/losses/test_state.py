"""State that training moves: it resumes bit for bit, and stands still in evaluation."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.losses import Annealing, MarginLoss, build, names
from tests.unit.models.losses.batches import Batch, batch_at

STATE = {
    "l_softmax": {"psi.iteration"},
    "a_softmax": {"psi.iteration"},
    "adaface": {"batch_mean", "batch_std"},
    "curricularface": {"t"},
}


def make(name: str) -> MarginLoss:
    torch.manual_seed(0)
    return build(name, dim=8, num_classes=5)


def steps(loss: MarginLoss, first: int, count: int) -> list[float]:
    """Plain SGD on the head alone, one batch per step."""
    optimizer = (
        torch.optim.SGD((p for p in loss.parameters() if p.requires_grad), lr=0.1)
        if any(p.requires_grad for p in loss.parameters())
        else None
    )
    losses = []
    for step in range(first, first + count):
        batch = batch_at(np.linspace(5, 120, 10), norms=np.linspace(8, 60, 10), seed=step)
        output = loss(batch.features.float(), batch.labels)
        losses.append(output.loss.item())
        if optimizer:
            optimizer.zero_grad()
            output.loss.backward()
            optimizer.step()
    return losses


def assert_equal_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", names())
def test_resumes_bit_for_bit(name: str) -> None:
    """N steps, save, load, N steps = 2N steps."""
    through = make(name)
    expected = steps(through, 0, 8)
    first = make(name)
    got = steps(first, 0, 4)
    saved = {key: value.clone() for key, value in first.state_dict().items()}
    generator = torch.get_rng_state()
    second = make(name)
    second.load_state_dict(saved)
    torch.set_rng_state(generator)
    assert got + steps(second, 4, 4) == expected
    assert_equal_state(second.state_dict(), through.state_dict())


@pytest.mark.parametrize("name", names())
def test_evaluation_moves_nothing(name: str, batch: Batch) -> None:
    loss = batch.place(make(name))
    loss(batch.features, batch.labels)
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    loss.eval()
    one, two = (loss(batch.features, batch.labels).loss for _ in range(2))
    assert torch.equal(one, two)
    assert_equal_state(loss.state_dict(), before)


@pytest.mark.parametrize("name", names())
def test_what_moves_is_in_the_state(name: str, batch: Batch) -> None:
    loss = make(name)
    buffers = {key: value.clone() for key, value in loss.named_buffers()}
    assert set(buffers) == STATE.get(name, set())
    batch.place(loss)(batch.features, batch.labels)
    assert all(loss.get_buffer(key) != value for key, value in buffers.items())


def test_running_statistics_are_moving_averages(batch: Batch) -> None:
    ada, curricular = batch.place(make("adaface")), batch.place(make("curricularface"))
    norms = batch.features.norm(dim=1).clamp(max=100)
    mean, std, t = 20.0, 100.0, 0.0
    for _ in range(3):
        mean = 0.99 * mean + 0.01 * norms.mean().item()
        std = 0.99 * std + 0.01 * norms.std().item()
        t = 0.99 * t + 0.01 * np.cos(batch.angles).mean()
        ada(batch.features, batch.labels)
        curricular(batch.features, batch.labels)
    statistics = {**ada.statistics(), **curricular.statistics()}
    assert statistics["running_norm_mean"] == pytest.approx(mean)
    assert statistics["running_norm_std"] == pytest.approx(std)
    assert statistics["t"] == pytest.approx(t)


def test_adaface_keeps_its_deviation_through_a_batch_of_one() -> None:
    loss = build("adaface", dim=2, num_classes=2)
    loss(torch.tensor([[30.0, 40.0]]), torch.tensor([0]))
    assert loss.statistics()["running_norm_mean"] == pytest.approx(20.3)
    assert loss.statistics()["running_norm_std"] == 100.0


def test_accumulated_gradients_survive_moving_statistics(batch: Batch) -> None:
    """Two forwards, then two backwards: the buffers moved in between."""
    for name in ("curricularface", "adaface", "a_softmax"):
        loss = batch.place(make(name))
        outputs = [loss(batch.features, batch.labels) for _ in range(2)]
        for output in outputs:
            output.loss.backward()
        assert loss.weight.grad.isfinite().all()


def test_annealing_follows_the_published_schedules() -> None:
    """λ of L-Softmax on MNIST: 421 @1k, 0.41 @10k, 3e-6 @30k; SphereFace reaches 5 near 1660."""
    loss = make("l_softmax")
    seen = []
    for iteration in (1_000, 10_000, 30_000):
        loss.psi.iteration.fill_(iteration)
        seen.append(loss.psi.weight().item())
    np.testing.assert_allclose(seen, [421.4, 0.4059, 3.1e-6], rtol=0.01)

    sphere = Annealing(base=1000.0, gamma=0.12, power=1.0, floor=5.0)
    iterations = torch.arange(1.0, 2000.0)
    assert iterations[sphere.at(iterations) == 5.0].min().item() == 1659
    assert sphere.at(torch.tensor(1.0)).item() == pytest.approx(1000 / 1.12)


def test_annealing_counts_training_steps(batch: Batch) -> None:
    loss = batch.place(make("a_softmax"))
    for step in range(1, 4):
        loss(batch.features, batch.labels)
        assert loss.statistics()["lambda"] == pytest.approx(1000 / (1 + 0.12 * step))


def test_none_and_a_number_anneal_to_a_constant(batch: Batch) -> None:
    for anneal, expected in ((None, 0.0), (5.0, 5.0)):
        loss = batch.place(build("a_softmax", dim=8, num_classes=5, anneal=anneal))
        loss(batch.features, batch.labels)
        assert loss.statistics()["lambda"] == expected
