"""Partial FC in one process, and on two ranks over gloo against one process without it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.losses import MarginLoss, PartialFC, build, entry, names
from models.losses.shards import class_range
from tests.unit.models.losses.batches import Batch, batch_at

WORKER = Path(__file__).with_name("ranks_worker.py")
ROOT = Path(__file__).parents[4]
SOFTMAX_FAMILY = [name for name in names() if entry(name).kind.samples_classes]
DIM, CLASSES = 6, 7


@pytest.mark.parametrize("name", SOFTMAX_FAMILY)
def test_rate_one_is_the_plain_loss(name: str, batch: Batch) -> None:
    plain = batch.place(build(name, dim=8, num_classes=5))
    partial = PartialFC(name, dim=8, num_classes=5).double()
    partial.load_full_state(plain.state_dict())
    results = []
    for loss in (plain, partial):
        torch.manual_seed(0)
        features = batch.features.clone().requires_grad_()
        output = loss(features, batch.labels)
        gradients = torch.autograd.grad(output.loss, (features, loss.weight))
        results.append((output.loss, output.per_sample, *gradients))
    torch.testing.assert_close(*results)
    assert partial.statistics() == pytest.approx(plain.statistics())


@pytest.fixture
def many() -> Batch:
    """Sixteen rows of classes 0 to 15, of the hundred that the tests build."""
    return batch_at(np.linspace(3, 150, 16), num_classes=16, dim=8)


def drawn(loss: PartialFC) -> set[int]:
    return set(loss.weight.grad.abs().sum(1).nonzero()[:, 0].tolist())


@pytest.mark.parametrize("name", SOFTMAX_FAMILY)
def test_sampling_keeps_every_positive_and_the_rate(name: str, many: Batch) -> None:
    torch.manual_seed(0)
    loss = PartialFC(name, dim=8, num_classes=100, rate=0.3)
    output = loss(many.features.float(), many.labels)
    output.loss.backward()
    assert output.logits.shape == (16, 30)
    assert set(range(16)) <= drawn(loss)
    assert len(drawn(loss)) <= 30
    assert output.loss.isfinite()


def test_sampled_loss_is_cross_entropy_over_the_drawn_classes(many: Batch) -> None:
    torch.manual_seed(0)
    loss = PartialFC("cosface", dim=8, num_classes=100, rate=0.3)
    output = loss(many.features.float(), many.labels)
    output.loss.backward()
    columns = sorted(drawn(loss))
    few = build("cosface", dim=8, num_classes=30)
    with torch.no_grad():
        few.weight.copy_(loss.weight[columns])
    expected = few(many.features.float(), many.labels)  # classes 0 to 15 are columns 0 to 15
    torch.testing.assert_close(output.logits, expected.logits)
    torch.testing.assert_close(output.loss, expected.loss)


def test_more_positives_than_the_rate_are_all_kept(many: Batch) -> None:
    loss = PartialFC("arcface", dim=8, num_classes=100, rate=0.05)
    assert loss(many.features.float(), many.labels).logits.shape == (16, 16)


def test_draws_follow_the_generator(many: Batch) -> None:
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(0)
        loss = PartialFC("arcface", dim=8, num_classes=100, rate=0.3)
        torch.manual_seed(seed)
        losses.append(loss(many.features.float(), many.labels).loss.item())
    assert losses[0] == losses[1] != losses[2]


def test_evaluation_uses_every_class(many: Batch) -> None:
    loss = PartialFC("arcface", dim=8, num_classes=100, rate=0.3).eval()
    assert loss(many.features.float(), many.labels).logits.shape == (16, 100)


def test_is_float32_under_autocast(many: Batch) -> None:
    loss = PartialFC("arcface", dim=8, num_classes=100, rate=0.3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = loss(many.features.bfloat16(), many.labels)
    assert output.loss.dtype == output.logits.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(set(names()) - set(SOFTMAX_FAMILY)))
def test_refuses_losses_that_are_no_softmax(name: str) -> None:
    with pytest.raises(ValueError, match="not a softmax"):
        PartialFC(name, dim=8, num_classes=100)


@pytest.mark.parametrize("rate", [0.0, 1.5])
def test_refuses_rates_that_are_no_fraction(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        PartialFC("arcface", dim=8, num_classes=100, rate=rate)


@pytest.mark.parametrize(("num_classes", "ranks"), [(7, 2), (8, 2), (10, 3), (5, 5)])
def test_ranges_cover_the_classes_evenly(num_classes: int, ranks: int) -> None:
    parts = [class_range(num_classes, rank, ranks) for rank in range(ranks)]
    assert [c for part in parts for c in part] == list(range(num_classes))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


Arrays = dict[str, np.ndarray]


def random_case() -> Arrays:
    """Twelve rows, six for each rank, whose lengths cross MagFace's range."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(12, 4)) * np.linspace(1.0, 40.0, 12)[:, None]
    backbone = rng.normal(size=(DIM, 4))
    case = {
        "inputs": inputs,
        "backbone": backbone,
        "features": inputs @ backbone.T,
        "labels": np.arange(12) * 5 % CLASSES,
    }
    for name in SOFTMAX_FAMILY:
        torch.manual_seed(7)
        state = build(name, dim=DIM, num_classes=CLASSES).double().state_dict()
        case |= {f"{name}/state/{key}": value.numpy() for key, value in state.items()}
    return case


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Arrays, list[Arrays]]:
    """The case and what each of two gloo ranks saw."""
    folder = tmp_path_factory.mktemp("ranks")
    case = random_case()
    np.savez(folder / "case.npz", **case)
    environment = {**os.environ, "WORLD_SIZE": "2", "PYTHONPATH": str(ROOT)}
    workers = [
        subprocess.Popen(
            [sys.executable, WORKER, folder / "init", folder / "case.npz", folder / f"{rank}.npz"],
            env={**environment, "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    seen = []
    for rank in range(2):
        with np.load(folder / f"{rank}.npz") as arrays:
            seen.append(dict(arrays))
    return case, seen


def alone(case: Arrays, name: str) -> tuple[MarginLoss, nn.Linear, Arrays]:
    """The same step in one process on the plain loss."""
    head = build(name, dim=DIM, num_classes=CLASSES).double()
    prefix = f"{name}/state/"
    head.load_state_dict(
        {
            k.removeprefix(prefix): torch.from_numpy(v)
            for k, v in case.items()
            if k.startswith(prefix)
        }
    )
    backbone = nn.Linear(4, DIM, bias=False).double()
    with torch.no_grad():
        backbone.weight.copy_(torch.from_numpy(case["backbone"]))
    torch.manual_seed(1)
    output = head(backbone(torch.from_numpy(case["inputs"])), torch.from_numpy(case["labels"]))
    output.loss.backward()
    values = {
        "loss": output.loss,
        "per_sample": output.per_sample,
        "backbone": backbone.weight.grad,
        "weight": head.weight.grad,
    }
    return head, backbone, {key: value.detach().numpy() for key, value in values.items()}


@pytest.mark.parametrize("name", SOFTMAX_FAMILY)
def test_two_ranks_compute_the_plain_loss(
    name: str, two_ranks: tuple[Arrays, list[Arrays]]
) -> None:
    """Loss, the DDP backbone's gradient, the gathered weight gradient, and the state after.

    For MagFace this holds only if λ_g·g is counted once, not once per rank.
    """
    case, ranks = two_ranks
    head, _, expected = alone(case, name)
    for seen in ranks:
        for key, value in expected.items():
            np.testing.assert_allclose(seen[f"{name}/{key}"], value, rtol=1e-9, atol=1e-12)
        for key, value in head.state_dict().items():
            np.testing.assert_allclose(seen[f"{name}/after/{key}"], value.numpy(), rtol=1e-12)


def test_state_of_two_ranks_loads_in_one_process(
    two_ranks: tuple[Arrays, list[Arrays]],
) -> None:
    case, (seen, _) = two_ranks
    for name in ("softmax", "magface"):
        prefix = f"{name}/after/"
        state = {
            k.removeprefix(prefix): torch.from_numpy(v)
            for k, v in seen.items()
            if k.startswith(prefix)
        }
        partial = PartialFC(name, dim=DIM, num_classes=CLASSES).double()
        partial.load_full_state(state)
        features, labels = torch.from_numpy(case["features"]), torch.from_numpy(case["labels"])
        assert partial(features, labels).loss.item() == pytest.approx(float(seen[f"{name}/loss"]))
        assert partial.full_state().keys() == build(name, dim=2, num_classes=2).state_dict().keys()


def test_two_ranks_sample_their_own_ranges(two_ranks: tuple[Arrays, list[Arrays]]) -> None:
    case, ranks = two_ranks
    named = set((case["labels"] * 8).tolist())
    rows = set(np.flatnonzero(np.abs(ranks[0]["sampled/gradient"]).sum(1)).tolist())
    assert named <= rows
    assert len(rows) <= 18
    assert [int(seen["sampled/columns"]) for seen in ranks] == [9, 9]
    assert np.isfinite(ranks[0]["sampled/loss"])
    assert ranks[0]["sampled/loss"] == ranks[1]["sampled/loss"]


def test_ranks_seeded_alike_start_with_different_classes(
    two_ranks: tuple[Arrays, list[Arrays]],
) -> None:
    fresh = two_ranks[1][0]["sampled/fresh"]
    assert len(np.unique(fresh, axis=0)) == 60
    assert fresh[30:].std() == pytest.approx(0.01, rel=0.2)


def test_running_statistics_span_the_ranks(two_ranks: tuple[Arrays, list[Arrays]]) -> None:
    """Each rank holds half the batch, and both end with the whole batch's statistics."""
    case, ranks = two_ranks
    for name, buffer in (("adaface", "batch_std"), ("curricularface", "t")):
        expected = alone(case, name)[0].get_buffer(buffer).item()
        for seen in ranks:
            assert seen[f"pooled/{name}"] == pytest.approx(expected, rel=1e-12)


def test_rows_move_between_ranks(two_ranks: tuple[Arrays, list[Arrays]]) -> None:
    rows = np.arange(CLASSES * 2.0).reshape(CLASSES, 2)
    for seen in two_ranks[1]:
        np.testing.assert_array_equal(seen["moved/rows"], rows)
        np.testing.assert_array_equal(seen["moved/ranks"], rows[:6])
