"""The target logit falls as the angle grows, on all of [0, π], but where documented."""

import numpy as np
import pytest

from models.losses import build
from tests.unit.models.losses.batches import batch_at

DEGREES = np.linspace(0.0, 180.0, 721)
FALLING = [
    *(
        (name, {})
        for name in (
            "softmax",
            "norm_softmax",
            "l_softmax",
            "a_softmax",
            "cosface",
            "arcface",
            "circle",
            "magface",
            "adaface",
            "curricularface",
            "sphereface2",
            "uniface",
        )
    ),
    *(("l_softmax", {"margin": m, "anneal": None}) for m in (2, 3, 4, 5)),
    ("a_softmax", {"anneal": None}),
    ("arcface_monotone", {}),
    ("magface_monotone", {}),
    ("curricularface", {"beyond_pi": "monotone"}),
    ("elasticface", {"kind": "cos", "std": 0.0}),
    ("elasticface", {"std": 0.0, "beyond_pi": "monotone"}),
]
RISES_AFTER = [
    ("arcface", {"beyond_pi": "none"}, 180 - np.rad2deg(0.5)),
    ("elasticface", {"std": 0.0}, 180 - np.rad2deg(0.5)),
    ("arcface", {"beyond_pi": "easy"}, 90.0),
    ("magface_repo", {}, 90.0),
]


def target_logits(name: str, parameters: dict, norm: float) -> np.ndarray:
    batch = batch_at(DEGREES, num_classes=1, norms=norm)
    loss = batch.place(build(name, dim=8, num_classes=1, **parameters)).eval()
    return loss(batch.features, batch.labels).logits.detach().numpy()[:, 0]


@pytest.mark.parametrize("norm", [12.0, 60.0, 105.0])
@pytest.mark.parametrize(("name", "parameters"), FALLING)
def test_falls_with_the_angle(name: str, parameters: dict, norm: float) -> None:
    logits = target_logits(name, parameters, norm)
    assert np.diff(logits).max() <= 1e-9 * np.abs(logits).max()
    assert logits[0] > logits[-1] + 1.0


@pytest.mark.parametrize(("name", "parameters", "degrees"), RISES_AFTER)
def test_documented_exceptions_rise_where_they_say(
    name: str, parameters: dict, degrees: float
) -> None:
    logits = target_logits(name, parameters, 20.0)
    rising = DEGREES[1:][np.diff(logits) > 1e-9]
    assert rising[0] == pytest.approx(degrees, abs=0.5)


def test_monotone_form_has_no_jump() -> None:
    """`hard` falls by 64·(1 − …) at once at π − m; `monotone` goes through with its slope."""
    steps = {
        rule: -np.diff(target_logits("arcface", {"beyond_pi": rule}, 20.0)).min()
        for rule in ("hard", "monotone")
    }
    assert steps["hard"] > 7.0
    assert steps["monotone"] < 64 * np.deg2rad(0.25) * 1.01
