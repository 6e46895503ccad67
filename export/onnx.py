"""A trained backbone as one self-contained ONNX file with any batch size and the raw feature.

PyTorch's `torch.export`-based exporter is used: the older one is deprecated and leaves Identity
and Cast nodes and an unfolded last normalisation behind.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from export.graphs import name_nodes

INPUT = "input"
FEATURE = "feature"
OPSET = 18


def to_onnx(backbone: nn.Module, side: int = 112) -> bytes:
    """Export a backbone, in evaluation mode, to ONNX bytes.

    Input "input": float32 (batch, 3, side, side). Output "feature": float32 (batch, D), as the
    backbone gives it, so not normalised.
    """
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                backbone,
                # Two images: an example of one would make the batch a constant.
                (torch.zeros(2, 3, side, side),),
                dynamo=True,
                external_data=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[FEATURE],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    finally:
        backbone.train(was_training)
    assert program is not None  # noqa: S101 (the new exporter always returns one)
    model: onnx.ModelProto = program.model_proto
    forget_origin(model)
    name_nodes(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def forget_origin(model: onnx.ModelProto) -> None:
    """Remove the stack traces and module names that the exporter records, in place.

    They hold the paths of the machine that exported, and double the size of a small network.
    """
    graph = model.graph
    parts = [*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for part in [model, graph, *parts]:
        del part.metadata_props[:]
        part.ClearField("doc_string")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says about itself, not about the network.

    It warns of an internal class, and logs that torchvision's operators are not there.
    """
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        log.setLevel(level)
