"""Parity with the published implementations: value, logits and gradients."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from models.losses import MarginLoss, build
from models.losses.elasticface import ElasticFace

Golden = Callable[[str], dict[str, np.ndarray]]
Make = Callable[[Mapping[str, np.ndarray]], MarginLoss]

VALUES = {torch.float64: 1e-9, torch.float32: 2e-5}
GRADIENTS = {torch.float64: 1e-9, torch.float32: 1e-4}
REFERENCE_ROUNDS = {
    "lsoftmax_plain": 1e-6,
    "lsoftmax_annealed": 1e-6,
    "circle_pair": 1e-8,
}


def number(golden: Mapping[str, np.ndarray], name: str) -> float:
    return float(golden[name])


def named(loss: str, /, _fixed: Mapping[str, object] | None = None, **names: str) -> Make:
    """Builds `loss` with each parameter read from the file under the given name."""

    def make(golden: Mapping[str, np.ndarray]) -> MarginLoss:
        parameters = {ours: number(golden, theirs) for ours, theirs in names.items()}
        dim, classes = golden["x"].shape[1], int(golden["labels"].max()) + 1
        return build(loss, dim=dim, num_classes=classes, **parameters, **(_fixed or {}))

    return make


def adaface(golden: Mapping[str, np.ndarray]) -> MarginLoss:
    loss = named("adaface", scale="s", margin="m", h="h", t_alpha="t_alpha")(golden).double()
    loss.batch_mean.fill_(number(golden, "ema_mean_in"))
    loss.batch_std.fill_(number(golden, "ema_std_in"))
    return loss


def curricularface(golden: Mapping[str, np.ndarray]) -> MarginLoss:
    make = named("curricularface", scale="s", margin="m", ema_alpha="ema_alpha")
    loss = make(golden).double()
    loss.t.fill_(number(golden, "t_in"))
    return loss


class DrawnBefore(ElasticFace):
    """ElasticFace whose draw is the file's."""

    drawn: Tensor

    def draw(self, targets_B: Tensor) -> Tensor:
        return self.drawn.to(targets_B.dtype)


def elasticface(golden: Mapping[str, np.ndarray]) -> MarginLoss:
    loss = DrawnBefore(
        dim=32, num_classes=10, scale=number(golden, "s"), margin=number(golden, "m")
    )
    loss.drawn = torch.from_numpy(golden["margin_per_sample"])
    return loss


MAGFACE = {
    "scale": "s",
    "l_a": "l_a",
    "u_a": "u_a",
    "l_m": "l_m",
    "u_m": "u_m",
    "lambda_g": "lambda_g",
}
DETACHED = {"beyond_pi": "none", "detach_margin": True}
CASES: dict[str, Make] = {
    "softmax": named("softmax"),
    "lsoftmax_plain": named("l_softmax", {"anneal": None}, margin="m"),
    "lsoftmax_annealed": named("l_softmax", margin="m", anneal="lambda_"),
    "asoftmax_plain": named("a_softmax", {"anneal": None}, margin="m"),
    "asoftmax_annealed": named("a_softmax", margin="m", anneal="lambda_"),
    "cosface": named("cosface", scale="s", margin="m"),
    "arcface_exact": named("arcface", {"beyond_pi": "hard"}, scale="s", margin="m"),
    "arcface_detached": named("arcface", DETACHED, scale="s", margin="m"),
    "circle_class": named("circle", gamma="gamma", margin="m"),
    "circle_pair": named("circle_pair", gamma="gamma", margin="m"),
    "magface_easy": named("magface", {"beyond_pi": "easy"}, **MAGFACE),
    "magface_hard": named("magface", {"beyond_pi": "hard"}, **MAGFACE),
    "adaface": adaface,
    "curricularface": curricularface,
    "elasticface_arc": elasticface,
}


def value_error(got: Tensor, reference: np.ndarray) -> float:
    return np.abs(got.detach().numpy() - reference).max() / max(1.0, np.abs(reference).max())


def gradient_error(got: Tensor, reference: np.ndarray) -> float:
    return np.abs(got.numpy() - reference).max() / np.abs(reference).max()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_matches_the_reference(name: str, dtype: torch.dtype, golden: Golden) -> None:
    reference = golden(name)
    loss = CASES[name](reference).to(dtype)
    with torch.no_grad():
        for ours, theirs in (("weight", "W"), ("bias", "b")):
            if theirs in reference:
                loss.get_parameter(ours).copy_(torch.from_numpy(reference[theirs]))
    features = torch.tensor(reference["x"], dtype=dtype, requires_grad=True)
    output = loss(features, torch.from_numpy(reference["labels"]))
    output.loss.backward()

    rounds = REFERENCE_ROUNDS.get(name, 0.0)
    within, slope_within = max(VALUES[dtype], rounds), max(GRADIENTS[dtype], rounds)
    per_sample = "loss_per_anchor" if name == "circle_pair" else "loss_per_sample"
    assert value_error(output.loss, reference["loss"]) <= within
    assert value_error(output.per_sample, reference[per_sample]) <= within
    assert gradient_error(features.grad, reference["grad_x"]) <= slope_within
    if "W" in reference:
        assert value_error(output.logits, reference["logits"]) <= within
        assert gradient_error(loss.weight.grad, reference["grad_W"]) <= slope_within
    if "b" in reference:
        assert gradient_error(loss.bias.grad, reference["grad_b"]) <= slope_within


def test_state_after_the_step_is_the_references(golden: Golden) -> None:
    ada, curricular = golden("adaface"), golden("curricularface")
    for reference, make, buffers in (
        (ada, adaface, {"batch_mean": "ema_mean_out", "batch_std": "ema_std_out"}),
        (curricular, curricularface, {"t": "t_out"}),
    ):
        loss = make(reference)
        with torch.no_grad():
            loss.weight.copy_(torch.from_numpy(reference["W"]))
        loss(torch.from_numpy(reference["x"]), torch.from_numpy(reference["labels"]))
        for ours, theirs in buffers.items():
            got = loss.get_buffer(ours).item()
            assert got == pytest.approx(number(reference, theirs), abs=1e-12)


@pytest.mark.parametrize("form", ["easy", "hard"])
def test_magface_parts(form: str, golden: Golden) -> None:
    reference = golden(f"magface_{form}")
    loss = CASES[f"magface_{form}"](reference)
    norms = torch.from_numpy(reference["x"]).norm(dim=1)
    assert value_error(loss.margins(norms), reference["margin_per_sample"]) < 1e-12
    assert value_error(loss.regulariser(norms), reference["g_per_sample"]) < 1e-12


def slope_and_loss(
    loss: MarginLoss, theta: float, impostor: float, norm: float
) -> tuple[float, float]:
    """d total/d norm and total for one sample whose every non-target cosine is `impostor`."""
    direction = torch.tensor([np.cos(theta), np.sin(theta), 0.0], dtype=torch.float64)
    aside = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    with torch.no_grad():
        loss.weight.copy_(impostor * direction + np.sqrt(1.0 - impostor**2) * aside)
        loss.weight[0] = torch.tensor([1.0, 0.0, 0.0])
    length = torch.tensor(norm, dtype=torch.float64, requires_grad=True)
    total = loss((length * direction)[None], torch.zeros(1, dtype=torch.int64)).loss
    (slope,) = torch.autograd.grad(total, length)
    return slope.item(), total.item()


@pytest.mark.parametrize("form", ["easy", "hard"])
@pytest.mark.parametrize("impostors", ["cos0", "gauss"])
def test_magface_equilibrium_norms(impostors: str, form: str, golden: Golden) -> None:
    reference = golden("magface_equilibrium")
    parameters = {ours: number(reference, theirs) for ours, theirs in MAGFACE.items()}
    loss = build(
        "magface",
        dim=3,
        num_classes=int(reference["num_classes"]),
        beyond_pi=form,
        **parameters,
    ).double()
    impostor = number(reference, f"impostor_cos_{impostors}")
    table = f"{impostors}_{form}"
    for theta, best, kind, lowest in zip(
        np.deg2rad(reference["theta_deg"]),
        reference[f"a_star_{table}"],
        reference[f"kind_{table}"],
        reference[f"loss_at_a_star_{table}"],
        strict=True,
    ):
        before, total = slope_and_loss(loss, theta, impostor, best - 1e-6)
        assert before < 0
        assert total == pytest.approx(lowest, abs=1e-6)
        if best + 1e-6 > parameters["u_a"]:
            assert kind in (0, 1)
        elif kind == 0:
            assert slope_and_loss(loss, theta, impostor, best + 1e-6)[0] > 0
        else:
            assert slope_and_loss(loss, theta, impostor, best + 1e-3)[1] > lowest
