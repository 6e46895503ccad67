"""The optimiser of a run, over parameters with names, so that its state can be saved by name."""

from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from models.train.config import OptimiserConfig

NamedParameters = list[tuple[str, nn.Parameter]]


def named_parameters(backbone: nn.Module, loss: nn.Module) -> NamedParameters:
    """Every trainable parameter, `backbone.*` before `loss.*`."""
    parts = (("backbone", backbone), ("loss", loss))
    return [
        (f"{part}.{name}", parameter)
        for part, module in parts
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    ]


def build_optimiser(config: OptimiserConfig, parameters: NamedParameters) -> Optimizer:
    """SGD with momentum or AdamW; vectors (biases, norms) decay only if the recipe says so."""
    matrices = [(name, p) for name, p in parameters if config.decay_vectors or p.ndim > 1]
    vectors = [(name, p) for name, p in parameters if not (config.decay_vectors or p.ndim > 1)]
    groups = [_group(matrices, config.weight_decay), _group(vectors, 0.0)]
    groups = [group for group in groups if group["params"]]
    if config.kind == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum)
    return AdamW(groups, lr=config.lr)


def _group(parameters: Iterable[tuple[str, nn.Parameter]], decay: float) -> dict[str, object]:
    listed = list(parameters)
    return {"params": listed, "weight_decay": decay}


def parameter_names(optimiser: Optimizer) -> list[str]:
    """Names in the order in which the optimiser numbers its parameters."""
    return [name for group in optimiser.param_groups for name in group["param_names"]]
