"""Smaller and faster files: fp16 weights, and int8 by static quantisation.

Both change features, so nothing is shipped before `export.drift` has measured by how much: on
trained weights int8 was seen to lower cosines to 0.77 where random weights had said 0.999.
"""

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.embed import Crops
from export.graphs import name_nodes, rewrite_prelu, sort_nodes

Calibrator = Literal["percentile", "minmax"]

PERCENTILE = 99.99


def to_fp16(model: bytes) -> bytes:
    """Weights and arithmetic in half precision, input and feature in float32.

    Half the size; faster on GPUs, not on CPUs, which compute it in float32.
    """
    graph = onnx.load_model_from_string(model)
    with warnings.catch_warnings():
        # Weights that round to zero or infinity are said one by one; the drift report judges.
        warnings.simplefilter("ignore", UserWarning)
        half: onnx.ModelProto = convert_float_to_float16(graph, keep_io_types=True)
    sort_nodes(half)  # the converter puts its first cast after its readers
    return bytes(half.SerializeToString())


def to_int8(
    model: bytes,
    tensors_NCHW: NDArray[np.float32],
    calibrator: Calibrator = "percentile",
) -> bytes:
    """Static quantisation (QDQ): 8-bit unsigned activations, 8-bit signed weights per channel.

    `tensors_NCHW` are preprocessed crops that the activations' ranges are taken from. Only dense
    convolutions are quantised, and not the first: depthwise ones and the output stage cost
    accuracy and save no time. PReLUs are rewritten first, since they would break the int8 path.
    Normalisations that are not folded stay so: folding them widened the ranges (insightface_y1:
    mean cosine 0.997 without, 0.90 with, both by min and max).
    """
    graph = onnx.load_model_from_string(model)
    rewrite_prelu(graph)
    name_nodes(graph)
    with tempfile.TemporaryDirectory() as directory, _quiet():
        target = Path(directory) / "int8.onnx"
        quantize_static(
            graph,
            target,
            _Reader(graph.graph.input[0].name, tensors_NCHW),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_quantize=dense_convolutions(graph)[1:],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=_METHODS[calibrator],
            extra_options={"CalibPercentile": PERCENTILE} if calibrator == "percentile" else {},
        )
        return target.read_bytes()


_METHODS = {
    "percentile": CalibrationMethod.Percentile,
    "minmax": CalibrationMethod.MinMax,
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's prints and advice to itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(level)


def dense_convolutions(graph: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that mix channels, in order of computation."""
    return [node.name for node in graph.graph.node if node.op_type == "Conv" and _dense(node)]


def _dense(node: onnx.NodeProto) -> bool:
    return all(entry.i == 1 for entry in node.attribute if entry.name == "group")


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Feeds the calibrator one crop at a time."""

    def __init__(self, name: str, tensors_NCHW: NDArray[np.float32]) -> None:
        self._feeds: Iterator[dict[str, Any]] = (
            {name: tensors_NCHW[at : at + 1]} for at in range(len(tensors_NCHW))
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def sample(crops_NHWC: Crops, count: int = 64) -> Crops:
    """`count` crops drawn without replacement, always the same ones; all where there are fewer."""
    random = np.random.default_rng(0)
    chosen = random.permutation(len(crops_NHWC))[:count]
    return crops_NHWC[np.sort(chosen)]
