"""A learner's state as named tensors and JSON, and back: equal to the last bit."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.losses import PartialFC
from models.losses.shards import gather_classes, take_classes
from models.train.checkpoint import Checkpoint, CheckpointError, load_module, part
from models.train.learner import Learner
from models.train.optimiser import parameter_names


def capture(learner: Learner, meta: Mapping[str, Any]) -> Checkpoint:
    """Everything that the next step depends on, after `learner.step` steps. All ranks must call.

    Class weights and their moments are those of all classes, whichever rank holds them, so a run
    may go on with another number of ranks.
    """
    tensors = {
        **_under("backbone", learner.backbone.state_dict()),
        **_under("loss", _loss_state(learner.loss)),
        **_under("optimiser", _optimiser_tensors(learner)),
    }
    if learner.ema is not None:
        tensors |= _under("ema", learner.ema.shadow)
    return Checkpoint(learner.step, tensors, {"scaler": learner.scaler.state_dict(), **meta})


def restore(learner: Learner, checkpoint: Checkpoint) -> None:
    """Continue where `checkpoint` was taken. Raises CheckpointError when it is of another model."""
    parts = {name: part(checkpoint, name) for name in ("backbone", "loss", "optimiser", "ema")}
    load_module("backbone", learner.backbone, parts["backbone"])
    _load_loss(learner.loss, parts["loss"])
    _load_optimiser(learner, parts["optimiser"])
    if learner.ema is not None:
        learner.ema.load(parts["ema"])
    if learner.scaler.is_enabled():
        learner.scaler.load_state_dict(checkpoint.meta["scaler"])
    learner.step = checkpoint.step


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def _loss_state(loss: nn.Module) -> Mapping[str, Tensor]:
    return loss.full_state() if isinstance(loss, PartialFC) else loss.state_dict()


def _load_loss(loss: nn.Module, state: Mapping[str, Tensor]) -> None:
    try:
        if isinstance(loss, PartialFC):
            loss.load_full_state(state)
        else:
            loss.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint holds another loss: {error}") from error


def _optimiser_tensors(learner: Learner) -> dict[str, Tensor]:
    names = parameter_names(learner.optimiser)
    return {
        f"{names[number]}.{key}": _all_classes(learner, names[number], value)
        for number, state in learner.optimiser.state_dict()["state"].items()
        for key, value in state.items()
        if value is not None
    }


def _all_classes(learner: Learner, name: str, value: Tensor) -> Tensor:
    if isinstance(learner.loss, PartialFC) and _per_class(learner, name, value):
        return gather_classes(value, learner.loss.num_classes)
    return value


def _own_classes(learner: Learner, name: str, value: Tensor) -> Tensor:
    if isinstance(learner.loss, PartialFC) and _per_class(learner, name, value):
        return take_classes(value, learner.loss.range)
    return value


def _per_class(learner: Learner, name: str, value: Tensor) -> bool:
    """Whether a moment has a row for each class (a step count has not)."""
    return value.ndim > 0 and name in [f"loss.{rows}" for rows in learner.head.per_class]


def _load_optimiser(learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    numbers = {name: number for number, name in enumerate(parameter_names(learner.optimiser))}
    parameters = [p for group in learner.optimiser.param_groups for p in group["params"]]
    for path, value in tensors.items():
        name, _, key = path.rpartition(".")
        if name not in numbers:
            raise CheckpointError(f"the checkpoint optimises {name}, which this model lacks")
        number = numbers[name]
        own = _own_classes(learner, name, value)
        state.setdefault(number, {})[key] = _like(parameters[number], own)
    groups = learner.optimiser.state_dict()["param_groups"]
    learner.optimiser.load_state_dict({"state": state, "param_groups": groups})


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the memory format of its parameter, which fast kernels expect."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
