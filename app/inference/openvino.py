"""A network in bfloat16 on a CPU that has it, through OpenVINO.

Same weights, half the bits of the mantissa in between: 1.5 to 2.2 times as fast where dense
convolutions carry the load, less on small networks. benchmarks/results/variants.md says how far
features move.
"""

import importlib
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import InferenceFailedError, StartError

PROVIDER = "OpenVINO bfloat16"


class Bfloat16Network:
    """Runs a network on float32 tensors. Safe to call from many threads at once."""

    provider = PROVIDER
    well = True

    def __init__(self, model: bytes, inputs: str, outputs: Sequence[str], workers: int) -> None:
        """At most `workers` callers at once run beside each other, each on one thread.

        Raises StartError where the model does not load, OpenVINO is not installed, or the
        processor would compute bfloat16 in float32.
        """
        network = _compiled(model, workers)
        found = [entry.get_any_name() for entry in network.inputs]
        if found != [inputs]:
            raise StartError(f"the network's inputs are {sorted(found)}, not {inputs!r} alone")
        named = {name for output in network.outputs for name in output.get_names()}
        if missing := [name for name in outputs if name not in named]:
            raise StartError(f"the network has no output {missing[0]!r}; it has {sorted(named)}")
        self._network = network
        self._outputs = [network.output(name) for name in outputs]
        self.batchable: bool = network.inputs[0].partial_shape[0].is_dynamic
        self._own = threading.local()

    def close(self) -> None:
        """Nothing runs by itself."""

    def run(self, tensor_NCHW: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs in the order asked for. Raises InferenceFailedError."""
        try:
            request = self._request()
            request.infer([tensor_NCHW], share_inputs=True)
            # The tensors are written over by this thread's next call.
            return [request.get_tensor(output).data.copy() for output in self._outputs]
        except Exception as error:  # the runtime raises RuntimeErrors of its own, by state
            raise InferenceFailedError("the network failed on this input") from error

    def _request(self) -> Any:  # noqa: ANN401 - resolved at run time, see _compiled
        if not hasattr(self._own, "request"):
            self._own.request = self._network.create_infer_request()
        return self._own.request


def _compiled(model: bytes, workers: int) -> Any:  # noqa: ANN401 - OpenVINO is optional
    try:
        openvino = importlib.import_module("openvino")
    except ImportError as error:
        raise StartError(
            "NORMA_ARITHMETIC=bfloat16 needs OpenVINO: pip install 'norma[openvino]'"
        ) from error
    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise StartError(
            "NORMA_ARITHMETIC=bfloat16: this processor has no bfloat16 arithmetic (AVX512-BF16 or "
            "AMX); use float32"
        )
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "NUM_STREAMS": workers,
        "INFERENCE_NUM_THREADS": workers,
        "ENABLE_CPU_PINNING": False,  # other threads decode and align on these cores
    }
    try:
        return core.compile_model(core.read_model(model), "CPU", settings)
    except RuntimeError as error:
        raise StartError(f"OpenVINO refuses the network: {error}") from error
