"""Building by name, refusing what makes no sense, and the generated tables."""

import re

import pytest
import torch

from models.losses import MarginLoss, build, entry, losses_table, names, presets, presets_table
from tests.unit.models.losses.batches import Batch

NAMES = [
    "softmax", "norm_softmax", "l_softmax", "a_softmax", "cosface", "arcface", "circle",
    "circle_pair", "magface", "adaface", "curricularface", "elasticface", "sphereface2", "uniface",
]  # fmt: skip


def test_names() -> None:
    assert list(names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_has_weights_a_scalar_and_logits(name: str, batch: Batch) -> None:
    loss = build(name, dim=8, num_classes=5)
    assert isinstance(loss, MarginLoss)
    assert loss.weight.shape == (5, 8)
    output = loss(batch.features.float(), batch.labels)
    assert output.loss.shape == ()
    assert output.logits.shape == (20, 5)
    assert output.per_sample.shape == (20,)
    assert output.per_sample.mean().item() == pytest.approx(output.loss.item(), rel=1e-5)
    assert loss.statistics()["norm_mean"] == pytest.approx(67.0, rel=1e-5)


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_presets_build_and_may_be_overridden(preset, batch: Batch) -> None:  # noqa: ANN001
    loss = build(preset.name, dim=8, num_classes=5)
    assert type(loss) is entry(preset.loss).kind
    given = dict(preset.parameters) | {"dim": 8, "num_classes": 5}
    torch.manual_seed(0)
    output = batch.place(loss).eval()(batch.features, batch.labels).loss
    same = batch.place(entry(preset.loss).kind(**given)).eval()
    assert torch.equal(same(batch.features, batch.labels).loss, output)
    name, value = next(iter(entry(preset.loss).defaults.items()))
    build(preset.name, dim=8, num_classes=5, **{name: value})


def test_magface_repo_is_the_originals_easy_margin(batch: Batch) -> None:
    repo = batch.place(build("magface_repo", dim=8, num_classes=5))
    easy = batch.place(build("magface", dim=8, num_classes=5, beyond_pi="easy"))
    hard = batch.place(build("magface", dim=8, num_classes=5))
    losses = [loss(batch.features, batch.labels).loss for loss in (repo, easy, hard)]
    assert losses[0] == losses[1] != losses[2]


def test_unknown_names_and_parameters_are_refused_with_the_choice() -> None:
    with pytest.raises(ValueError, match=r"no loss is called 'megaface'.*magface"):
        build("megaface", dim=8, num_classes=5)
    with pytest.raises(ValueError, match=r"cosface has no parameter gamma; it takes scale, margin"):
        build("cosface", dim=8, num_classes=5, gamma=1.0)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("arcface", {"margin": 28.6}),
        ("arcface", {"beyond_pi": "soft"}),
        ("a_softmax", {"margin": 1.7}),
        ("l_softmax", {"margin": 0}),
        ("elasticface", {"kind": "sphere"}),
        ("sphereface2", {"alpha": 1.0}),
        ("sphereface2", {"t": 0.5}),
    ],
)
def test_impossible_parameters_are_refused(name: str, parameters: dict) -> None:
    with pytest.raises(ValueError, match=r"radians|beyond_pi|whole number|kind|alpha"):
        build(name, dim=8, num_classes=5, **parameters)


def test_the_losses_that_read_length_want_it_free() -> None:
    free = {name for name in names() if entry(name).kind.wants_free_norm}
    assert free == {"softmax", "l_softmax", "a_softmax", "magface"}


def test_partial_fc_serves_the_softmax_family() -> None:
    whole = {name for name in names() if not entry(name).kind.samples_classes}
    assert whole == {"circle_pair", "sphereface2", "uniface"}


def test_defaults_are_the_papers() -> None:
    assert dict(entry("magface").defaults) == {
        "scale": 64.0, "l_a": 10.0, "u_a": 110.0, "l_m": 0.45, "u_m": 0.8, "lambda_g": 35.0,
        "beyond_pi": "hard", "free_penalty": False,
    }  # fmt: skip
    assert entry("cosface").defaults == {"scale": 64.0, "margin": 0.35}
    assert entry("circle").defaults == {"gamma": 256.0, "margin": 0.25}
    assert entry("magface_repo") is entry("magface")


def test_tables_are_whole() -> None:
    for table, wanted in (
        (losses_table(), names()),
        (presets_table(), [preset.name for preset in presets()]),
    ):
        head, _, *rows = table.splitlines()
        assert [re.match(r"\| `(\w+)` \|", row)[1] for row in rows] == list(wanted)
        assert {row.count("|") for row in rows} == {head.count("|")}
    assert "scale 64, margin 0.35" in losses_table()
    assert "https://arxiv.org/abs/2103.06627" in losses_table()
