"""ONNX Runtime as the packaging side uses it: on the CPU, to see what a graph computes."""

from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from export.errors import ImportFailedError


def open_model(model: bytes, where: str) -> Any:  # noqa: ANN401 - onnxruntime is untyped
    """A CPU session. Raises ImportFailedError with the runtime's reason."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises classes of its own, by state
        raise ImportFailedError(f"{where}: ONNX Runtime refuses it: {error}") from error


def run(session: Any, tensor_NCHW: NDArray[np.float32], where: str) -> list[NDArray[np.float32]]:  # noqa: ANN401
    """All outputs for one input. Raises ImportFailedError."""
    try:
        return list(session.run(None, {session.get_inputs()[0].name: tensor_NCHW}))
    except Exception as error:  # the runtime raises classes of its own, by state
        raise ImportFailedError(f"{where}: does not run: {error}") from error
