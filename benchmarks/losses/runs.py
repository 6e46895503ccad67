"""Which networks the study trains: every registered loss, and the controls of its norm."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from models import losses
from models.losses import Annealing
from models.losses.registry import Parameter

SEEDS = (0, 1, 2)
STEPS = 400
LONGER = 1600
LONGER_NAME = f", {LONGER} steps"
SCALE = 32.0
"""Of every loss that normalises features: 64, made for 10⁵ classes, only stiffens 10²."""

SOON = Annealing(base=100.0, gamma=0.12, power=1.0, floor=5.0)
"""λ of L- and A-Softmax at its floor after 158 steps: the published schedules want 10⁴."""

PARAMETERS: Mapping[str, Mapping[str, Parameter]] = {
    "l_softmax": {"anneal": SOON},
    "a_softmax": {"anneal": SOON},
    "circle": {"gamma": 64.0},
    "circle_pair": {"gamma": 80.0, "margin": 0.4},
    "adaface": {"t_alpha": 0.05},
}
"""What departs from a loss's defaults, besides the scale: the runs are a few hundred steps long."""


@dataclass(frozen=True, slots=True)
class Run:
    """One network to train. `varied` says whether training sees images of lowered quality.

    `norm_head` names the last normalisation; "" leaves it to the loss.
    """

    name: str
    loss: str
    seed: int
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    norm_head: str = ""
    varied: bool = True
    steps: int = STEPS

    @property
    def key(self) -> str:
        return f"{self.name}/{self.seed}"


def matrix(seed: int) -> tuple[Run, ...]:
    """Every registered loss, and the controls."""
    every = (Run(name, name, seed, parameters_of(name)) for name in losses.names())
    return (*every, *controls(seed))


def controls(seed: int) -> tuple[Run, ...]:
    """What must be worse, if MagFace's norm is what makes the difference."""
    arcface, magface = parameters_of("arcface"), parameters_of("magface")
    return (
        Run("arcface, free BN", "arcface", seed, arcface, norm_head="free_bn"),
        Run("magface, λ_g = 0", "magface", seed, {**magface, "lambda_g": 0.0}),
        Run("magface, easy margin", "magface_repo", seed, magface),
        Run("magface, clean training", "magface", seed, magface, varied=False),
        Run("arcface, clean training", "arcface", seed, arcface, varied=False),
    )


def longer(seed: int) -> tuple[Run, ...]:
    """Four times the steps: is what the short runs show a matter of their length?"""
    chosen = ("magface", "arcface", "softmax", "magface, λ_g = 0", "magface, clean training")
    runs = {run.name: run for run in matrix(seed)}
    return tuple(replace(runs[name], name=name + LONGER_NAME, steps=LONGER) for name in chosen)


def parameters_of(name: str) -> Mapping[str, Parameter]:
    scale: dict[str, Parameter] = {"scale": SCALE} if "scale" in losses.entry(name).defaults else {}
    return {**scale, **PARAMETERS.get(name, {})}
